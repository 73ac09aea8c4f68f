package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
)

const chunk = 64 * kib

// A SHA-256 as minio-go wants it.
type hasher struct{ hash.Hash }

func (hasher) Close() {}

// A body in chunks of 64 KiB, each signed, and the headers that go with it. It is made once: what a client's signing costs
// isn't measured.
func (s *server) signedChunks(name string, body []byte) ([]byte, http.Header) {
	request := s.chunked(name, body)
	request = signer.StreamingSignV4(request, accessKey, secretKey, "", "us-east-1", int64(len(body)), time.Now().UTC(), hasher{sha256.New()})
	framed, err := io.ReadAll(request.Body)
	must(err)
	return framed, request.Header
}

// The same body in chunks that aren't signed, with a checksum behind them.
func (s *server) unsignedChunks(name string, body []byte) ([]byte, http.Header) {
	var framed bytes.Buffer
	for rest := body; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
		piece := rest[:min(chunk, len(rest))]
		fmt.Fprintf(&framed, "%x\r\n", len(piece))
		framed.Write(piece)
		framed.WriteString("\r\n")
	}
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	fmt.Fprintf(&framed, "0\r\nx-amz-checksum-crc32c:%s\r\n\r\n", base64.StdEncoding.EncodeToString(sum))
	request := s.chunked(name, body)
	request.Header.Set("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	request.Header.Set("x-amz-trailer", "x-amz-checksum-crc32c")
	request.Header.Set("x-amz-decoded-content-length", fmt.Sprint(len(body)))
	request.Header.Set("content-encoding", "aws-chunked")
	request = signer.SignV4(*request, accessKey, secretKey, "", "us-east-1")
	return framed.Bytes(), request.Header
}

func (s *server) chunked(name string, body []byte) *http.Request {
	request, err := http.NewRequest("PUT", "https://"+s.address+"/"+bucket+"/"+name, bytes.NewReader(body))
	must(err)
	return request
}
