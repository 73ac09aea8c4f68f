// Measures coffer-server beside the minio program: the same work for both, turn by turn, by three clients.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

type options struct {
	coffer, minio, wrkScript, fill, mode, clients, out string
	encrypted                                          string
}

// One operation with one client on both servers.
type row struct {
	Client    string            `json:"client"`
	Operation string            `json:"operation"`
	Bytes     int               `json:"bytes"` // of content in one operation, 0 where it has none
	Results   map[string]result `json:"results"`
	speed     float64           // aim: Coffer's rate as a multiple of the other's
	cpu       float64           // aim: the other's CPU time as a multiple of Coffer's
}

type figures struct {
	StartMillis float64 `json:"start_ms"`
	Idle        float64 `json:"resident_idle_mib"`
	Peak        float64 `json:"resident_peak_mib"`
}

type report struct {
	Mode         string             `json:"mode"`
	Rows         []row              `json:"rows"`
	Servers      map[string]figures `json:"servers"`
	MillionStart float64            `json:"coffer_start_with_1e6_objects_ms,omitempty"`
	MillionIdle  float64            `json:"coffer_resident_with_1e6_objects_mib,omitempty"`
}

func main() {
	// The servers end with the thread that started them, so this one has to stay.
	runtime.LockOSThread()
	var o options
	flag.StringVar(&o.coffer, "coffer", "", "coffer-server")
	flag.StringVar(&o.minio, "minio", "", "minio")
	flag.StringVar(&o.wrkScript, "wrk-script", "", "presigned.lua")
	flag.StringVar(&o.fill, "fill", "", "coffer-store's example `fill`; empty: no start on a million objects")
	flag.StringVar(&o.mode, "mode", "full", "full or quick")
	flag.StringVar(&o.clients, "clients", "minio-go,wrk,curl", "which clients run")
	flag.StringVar(&o.encrypted, "encrypted", "", "SSE-S3 or SSE-KMS: both encrypt at rest; a Coffer of before doesn't")
	flag.StringVar(&o.out, "out", "", "where the report goes")
	flag.Parse()
	data := filepath.Join(o.out, "data")
	must(os.RemoveAll(data))
	identity := filepath.Join(data, "identity")
	writeIdentity(identity)
	rest, known := map[string]atRest{"": plain, "SSE-S3": sseS3, "SSE-KMS": sseKms}[o.encrypted]
	if !known {
		fail("-encrypted: there is no %s", o.encrypted)
	}
	ours := &server{name: "Coffer", folder: filepath.Join(data, "coffer"), command: coffer(o.coffer, identity, rest)}
	other := &server{name: "MinIO", folder: filepath.Join(data, "minio"), command: theirs(o.minio, identity, rest)}
	if filepath.Base(o.minio) == "coffer-server" {
		other = &server{name: "before", folder: filepath.Join(data, "before"), command: coffer(o.minio, identity, plain)}
	}
	servers := []*server{ours, other}
	r := report{Mode: o.mode, Servers: map[string]figures{}}
	for _, s := range servers {
		start := s.start()
		time.Sleep(2 * time.Second)
		r.Servers[s.name] = figures{StartMillis: start.Seconds() * 1e3, Idle: s.memory("VmRSS")}
		s.prepare(rest)
	}
	r.Rows = all(o, servers)
	for _, s := range servers {
		f := r.Servers[s.name]
		for _, row := range r.Rows {
			f.Peak = max(f.Peak, row.Results[s.name].Peak)
		}
		r.Servers[s.name] = f
		s.stop()
	}
	if o.fill != "" {
		r.MillionStart, r.MillionIdle = million(o, ours, data)
	}
	must(os.RemoveAll(data))
	text, err := json.MarshalIndent(r, "", " ")
	must(err)
	must(os.WriteFile(filepath.Join(o.out, "bench.json"), append(text, '\n'), 0o644))
	table := markdown(r, ours.name, other.name)
	must(os.WriteFile(filepath.Join(o.out, "bench.md"), []byte(table), 0o644))
	fmt.Print(table)
	for _, row := range r.Rows {
		for name, result := range row.Results {
			if result.Failed > 0 || result.Count == 0 {
				fail("%s: %d requests of %s %s failed, %d succeeded", name, result.Failed, row.Client, row.Operation, result.Count)
			}
		}
	}
}

// Every operation with every client, each on one server after the other.
func all(o options, servers []*server) []row {
	small, large, rounds := 5*time.Second, 6*time.Second, 3
	if o.mode == "quick" {
		small, large, rounds = time.Second, 2*time.Second, 1
	}
	var rows []row
	run := func(client, operation string, bytes int, speed, cpu float64, work func(*server) result) {
		if !strings.Contains(o.clients, client) {
			return
		}
		row := row{Client: client, Operation: operation, Bytes: bytes, Results: map[string]result{}, speed: speed, cpu: cpu}
		for _, s := range servers {
			row.Results[s.name] = measured(s, func() result { return work(s) })
			r := row.Results[s.name]
			fmt.Fprintf(os.Stderr, "%-8s %-10s %-7s %9.1f/s  p50 %-11v p99 %-11v CPU %-11v of the client %-11v %4.0f MiB\n",
				client, operation, s.name, r.rate(), r.P50, r.P99, r.CPU, r.ClientCPU, r.Peak)
		}
		rows = append(rows, row)
	}
	ctx := context.Background()

	body := random(4 * kib)
	made := map[*server]*[connections]int{} // how many objects each worker has put
	run("minio-go", "put 4 KiB", 4*kib, 4, 5, func(s *server) result {
		counts := new([connections]int)
		made[s] = counts
		return sdk(small, func(worker, n int) (bool, error) {
			counts[worker] = n + 1
			return true, s.put(body, key("sdk", worker, n))
		})
	})
	run("minio-go", "get 4 KiB", 4*kib, 2.3, 5, func(s *server) result {
		return sdk(small, func(worker, n int) (bool, error) {
			return true, s.get(key("sdk", worker, n%made[s][worker]), 4*kib)
		})
	})
	run("minio-go", "head 4 KiB", 0, 2.3, 5, func(s *server) result {
		return sdk(small, func(worker, n int) (bool, error) {
			_, err := s.client.StatObject(ctx, bucket, key("sdk", worker, n%made[s][worker]), minio.StatObjectOptions{})
			return true, err
		})
	})
	run("minio-go", "list 1,000", 0, 5, 8, func(s *server) result {
		return sdk(small, func(int, int) (bool, error) { return true, s.list() })
	})
	run("minio-go", "delete", 0, 4, 5, func(s *server) result {
		return sdk(small, func(worker, n int) (bool, error) {
			if n >= made[s][worker] {
				return false, nil
			}
			return true, s.client.RemoveObject(ctx, bucket, key("sdk", worker, n), minio.RemoveObjectOptions{})
		})
	})
	for _, size := range []struct {
		name  string
		bytes int
		speed float64
	}{{"1 MiB", mib, 0}, {"64 MiB", 64 * mib, 1.1}} {
		body := random(size.bytes)
		// The same few keys again and again: a disk has an end.
		keys := min(16, 256*mib/size.bytes/connections)
		keys = max(keys, 1)
		run("minio-go", "put "+size.name, size.bytes, size.speed, 0, func(s *server) result {
			return sdk(large, func(worker, n int) (bool, error) { return true, s.put(body, key(size.name, worker, n%keys)) })
		})
		for _, s := range servers {
			for worker := range connections {
				if !strings.Contains(o.clients, "minio-go") {
					break
				}
				for n := range keys {
					must(s.put(body, key(size.name, worker, n)))
				}
			}
		}
		run("minio-go", "get "+size.name, size.bytes, size.speed, 0, func(s *server) result {
			return sdk(large, func(worker, n int) (bool, error) {
				return true, s.get(key(size.name, worker, n%keys), int64(size.bytes))
			})
		})
	}

	paths := func(s *server, method, kind string, count int) []string {
		list := make([]string, count)
		for n := range list {
			list[n] = s.presigned(method, bucket+"/"+key(kind, n%connections, n/connections), "")
		}
		return list
	}
	put := map[*server]int{}
	many := int(small.Seconds()) * 20_000
	run("wrk", "put 4 KiB", 4*kib, 0, 5, func(s *server) result {
		r := s.wrk(o, small, "PUT", paths(s, "PUT", "wrk", many), body, true)
		// The last ones were under way when the time was up.
		put[s] = r.Count * 4 / 5
		return r
	})
	run("wrk", "get 4 KiB", 4*kib, 0, 5, func(s *server) result {
		return s.wrk(o, small, "GET", paths(s, "GET", "wrk", min(put[s], 20_000)), nil, false)
	})
	// wrk waits for the content that an answer to HEAD only announces, so this object has none.
	run("wrk", "head 0 B", 0, 0, 5, func(s *server) result {
		return s.wrk(o, small, "HEAD", []string{s.presigned("HEAD", bucket+"/empty", "")}, nil, false)
	})
	run("wrk", "list 1,000", 0, 0, 8, func(s *server) result {
		return s.wrk(o, small, "GET", []string{s.presigned("GET", listed, "list-type=2&max-keys=1000")}, nil, false)
	})
	run("wrk", "delete", 0, 0, 5, func(s *server) result {
		return s.wrk(o, small, "DELETE", paths(s, "DELETE", "wrk", put[s]), nil, true)
	})
	body = random(mib)
	run("wrk", "put 1 MiB", mib, 0, 0, func(s *server) result {
		return s.wrk(o, large, "PUT", paths(s, "PUT", "wrk-large", 64), body, false)
	})
	run("wrk", "get 1 MiB", mib, 0, 0, func(s *server) result {
		return s.wrk(o, large, "GET", paths(s, "GET", "wrk-large", 64), nil, false)
	})
	run("curl", "put 64 MiB", 64*mib, 1.1, 0, func(s *server) result { return s.curl(rounds*connections, true) })
	run("curl", "get 64 MiB", 64*mib, 1.1, 0, func(s *server) result { return s.curl(rounds*connections, false) })
	run("curl", "put 64 MiB, signed chunks", 64*mib, 1, 0, func(s *server) result { return s.curlChunks(rounds*connections, s.signedChunks) })
	run("curl", "put 64 MiB, unsigned trailer", 64*mib, 0, 0, func(s *server) result { return s.curlChunks(rounds*connections, s.unsignedChunks) })
	return rows
}

// Fills a folder with a million objects through the store itself, and starts the server on it.
func million(o options, s *server, data string) (millis, resident float64) {
	s.folder = filepath.Join(data, "million")
	fill := exec.Command(o.fill, s.folder, "1000000")
	fill.Stderr = os.Stderr
	began := time.Now()
	must(fill.Run())
	fmt.Fprintf(os.Stderr, "a million objects were made in %.1f s\n", time.Since(began).Seconds())
	start := s.start()
	time.Sleep(2 * time.Second)
	resident = s.memory("VmRSS")
	s.stop()
	return start.Seconds() * 1e3, resident
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
