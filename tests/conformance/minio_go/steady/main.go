// Puts and gets objects with minio-go's own defaults until a file appears, and tells how many requests it sent.
//
//	steady ENDPOINT BUCKET FILE
//
// Keys and the CA come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and SSL_CERT_FILE.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

func main() {
	endpoint, bucket, stop := os.Args[1], os.Args[2], os.Args[3]
	client, err := minio.New(endpoint, &minio.Options{Creds: credentials.NewEnvAWS(), Secure: true, Region: "us-east-1"})
	if err != nil {
		log.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), 5000)
	sent := 0
	for ; ; sent += 2 {
		if _, err := os.Stat(stop); err == nil {
			break
		}
		key := fmt.Sprintf("go%d", sent%50)
		if _, err := client.PutObject(context.Background(), bucket, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{}); err != nil {
			log.Fatalf("put after %d requests: %v", sent, err)
		}
		object, err := client.GetObject(context.Background(), bucket, key, minio.GetObjectOptions{})
		if err != nil {
			log.Fatalf("get after %d requests: %v", sent, err)
		}
		if read, err := io.Copy(io.Discard, object); err != nil || read != int64(len(body)) {
			log.Fatalf("read %d bytes after %d requests: %v", read, sent, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Println(sent)
}
