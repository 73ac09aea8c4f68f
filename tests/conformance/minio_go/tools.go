//go:build tools

// Package tools keeps in go.mod what minio-go's functional tests import: they are built from its module.
package tools

import (
	_ "github.com/dustin/go-humanize"
	_ "github.com/google/uuid"
	_ "github.com/minio/minio-go/v7"
)
