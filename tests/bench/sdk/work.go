package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/minio/minio-go/v7/pkg/sse"
)

const (
	connections = 16
	bucket      = "bench"
	listed      = "listed" // holds 1,000 objects
	kib         = 1 << 10
	mib         = 1 << 20
)

// How one operation went on one server with one client.
type result struct {
	Count     int           `json:"count"`
	Failed    int           `json:"failed"`
	Seconds   float64       `json:"seconds"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	CPU       time.Duration `json:"server_cpu_ns_per_operation"`
	ClientCPU time.Duration `json:"client_cpu_ns_per_operation"` // what the client leaves to the server
	Peak      float64       `json:"server_resident_peak_mib"`
}

func (r result) rate() float64 { return float64(r.Count) / r.Seconds }

// Runs work and adds what it costs.
func measured(s *server, work func() result) result {
	s.forgetPeak()
	before, clientBefore := s.cpu(), clientCPU()
	r := work()
	if r.Count > 0 {
		r.CPU = (s.cpu() - before) / time.Duration(r.Count)
		r.ClientCPU = (clientCPU() - clientBefore) / time.Duration(r.Count)
	}
	r.Peak = s.memory("VmHWM")
	return r
}

// Runs one operation from all connections until the time is up or it says that nothing is left.
func sdk(d time.Duration, operation func(worker, n int) (bool, error)) result {
	var lock sync.Mutex
	var group sync.WaitGroup
	var times []time.Duration
	var r result
	began := time.Now()
	for worker := range connections {
		group.Go(func() {
			var mine []time.Duration
			for n := 0; time.Since(began) < d; n++ {
				start := time.Now()
				more, err := operation(worker, n)
				if !more {
					break
				}
				if err != nil {
					lock.Lock()
					if r.Failed++; r.Failed == 1 {
						fmt.Fprintln(os.Stderr, "failed:", err)
					}
					lock.Unlock()
					continue
				}
				mine = append(mine, time.Since(start))
			}
			lock.Lock()
			times = append(times, mine...)
			lock.Unlock()
		})
	}
	group.Wait()
	r.Seconds, r.Count = time.Since(began).Seconds(), len(times)
	slices.Sort(times)
	if len(times) > 0 {
		r.P50, r.P99 = times[len(times)/2], times[len(times)*99/100]
	}
	return r
}

func key(kind string, worker, n int) string { return fmt.Sprintf("%s/%02d/%06d", kind, worker, n) }

func (s *server) put(body []byte, name string) error {
	_, err := s.client.PutObject(context.Background(), bucket, name, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
	return err
}

func (s *server) get(name string, size int64) error {
	object, err := s.client.GetObject(context.Background(), bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer object.Close()
	n, err := io.Copy(io.Discard, object)
	if err == nil && n != size {
		err = fmt.Errorf("%d of %d bytes came", n, size)
	}
	return err
}

// Lists the bucket that is there for it.
func (s *server) list() error {
	n := 0
	for object := range s.client.ListObjects(context.Background(), listed, minio.ListObjectsOptions{Recursive: true}) {
		if object.Err != nil {
			return object.Err
		}
		n++
	}
	if n != 1000 {
		return fmt.Errorf("%d of 1000 keys came", n)
	}
	return nil
}

// The buckets, and what lists and heads need.
func (s *server) prepare(rest atRest) {
	ctx := context.Background()
	for _, name := range []string{bucket, listed} {
		must(s.client.MakeBucket(ctx, name, minio.MakeBucketOptions{}))
		if rest == sseKms && s.name != "before" {
			must(s.client.SetBucketEncryption(ctx, name, sse.NewConfigurationSSEKMS("bench")))
		}
	}
	body := random(4 * kib)
	var group sync.WaitGroup
	for worker := range connections {
		group.Go(func() {
			for n := worker; n < 1000; n += connections {
				_, err := s.client.PutObject(ctx, listed, fmt.Sprintf("folder/key-%06d", n), bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
				must(err)
			}
		})
	}
	group.Wait()
	must(s.put(nil, "empty"))
}

// The path and query of a presigned request.
func (s *server) presigned(method, path, query string) string {
	target := &url.URL{Scheme: "https", Host: s.address, Path: "/" + path, RawQuery: query}
	request := signer.PreSignV4(http.Request{Method: method, URL: target, Host: s.address, Header: http.Header{}}, accessKey, secretKey, "", "us-east-1", 3600)
	return request.URL.RequestURI()
}

// Sends presigned requests by wrk, which has one thread: the other core is the server's.
func (s *server) wrk(o options, d time.Duration, method string, paths []string, body []byte, once bool) result {
	again, file := "again", "-"
	if once {
		again = "once"
	}
	list := s.write("paths", []byte(strings.Join(paths, "\n")+"\n"))
	if body != nil {
		file = s.write("body", body)
	}
	command := exec.Command("wrk", "-t", "1", "-c", fmt.Sprint(connections), "-d", fmt.Sprintf("%.0fs", d.Seconds()), "--timeout", "30s",
		"-s", o.wrkScript, "https://"+s.address, "--", method, list, file, again)
	command.Stderr = os.Stderr
	out, err := command.Output()
	_, line, found := strings.Cut(string(out), "RESULT ")
	if err != nil || !found {
		fail("wrk: %v\n%s", err, out)
	}
	var told struct {
		Requests, Micros, P50, P99, Failed int
		What                               string
	}
	must(json.Unmarshal([]byte(strings.SplitN(line, "\n", 2)[0]), &told))
	if told.Failed > 0 {
		fmt.Fprintln(os.Stderr, "failed:", told.What)
	}
	return result{
		Count: told.Requests, Failed: told.Failed, Seconds: float64(told.Micros) / 1e6,
		P50: time.Duration(told.P50) * time.Microsecond, P99: time.Duration(told.P99) * time.Microsecond,
	}
}

// Moves count objects of 64 MiB by curl, 16 at a time.
func (s *server) curl(count int, upload bool) result {
	var list strings.Builder
	file := s.write("body", random(64*mib))
	for n := range count {
		name := bucket + "/" + key("curl", n%connections, 0)
		if upload {
			fmt.Fprintf(&list, "upload-file = %q\nurl = \"https://%s%s\"\noutput = \"/dev/null\"\n", file, s.address, s.presigned("PUT", name, ""))
		} else {
			fmt.Fprintf(&list, "url = \"https://%s%s\"\noutput = \"/dev/null\"\n", s.address, s.presigned("GET", name, ""))
		}
	}
	return s.transfer(list.String(), nil)
}

// Puts one object of 64 MiB count times by curl, 16 at a time, in chunks that were framed before.
func (s *server) curlChunks(count int, frame func(string, []byte) ([]byte, http.Header)) result {
	var list strings.Builder
	name := "chunks"
	body, headers := frame(name, random(64*mib))
	file := s.write("chunks", body)
	for range count {
		fmt.Fprintf(&list, "upload-file = %q\nurl = \"https://%s/%s/%s\"\noutput = \"/dev/null\"\n", file, s.address, bucket, name)
	}
	var lines []string
	for header := range headers {
		if header != "Content-Length" {
			lines = append(lines, header+": "+headers.Get(header))
		}
	}
	return s.transfer(list.String(), lines)
}

// Carries out a list of transfers, 16 at a time.
func (s *server) transfer(list string, headers []string) result {
	config := s.write("curl", []byte(list))
	times := s.folder + ".times"
	out, err := os.Create(times)
	must(err)
	arguments := []string{"--http1.1", "-sSkZ", "--no-progress-meter", "--parallel-immediate", "--parallel-max", fmt.Sprint(connections), "-H", "Expect:",
		"-w", "%{http_code} %{time_total}\n", "-K", config}
	for _, header := range headers {
		arguments = append(arguments, "-H", header)
	}
	command := exec.Command("curl", arguments...)
	command.Stdout, command.Stderr = out, os.Stderr
	began := time.Now()
	must(command.Run())
	r := result{Seconds: time.Since(began).Seconds()}
	text, err := os.ReadFile(times)
	must(err)
	var took []time.Duration
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var status int
		var seconds float64
		if _, err := fmt.Sscan(line, &status, &seconds); err != nil || status != 200 {
			r.Failed++
			continue
		}
		took = append(took, time.Duration(seconds*float64(time.Second)))
	}
	slices.Sort(took)
	if r.Count = len(took); r.Count > 0 {
		r.P50, r.P99 = took[len(took)/2], took[len(took)*99/100]
	}
	return r
}

func (s *server) write(name string, content []byte) string {
	file := filepath.Clean(s.folder) + "." + name
	must(os.WriteFile(file, content, 0o600))
	return file
}

func random(n int) []byte {
	body := make([]byte, n)
	_, _ = rand.Read(body) // Never fails.
	return body
}
