package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	accessKey = "benchrootaccess"
	secretKey = "bench-root-secret-31d0a7"
)

// A running server under measurement.
type server struct {
	name    string
	folder  string
	address string
	command func(folder, address string) *exec.Cmd
	process *exec.Cmd
	client  *minio.Client
}

// Starts the process and returns the time to its first answer to a signed request.
func (s *server) start() time.Duration {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	s.address = fmt.Sprintf("localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	must(listener.Close())
	s.client = newClient(s.address)
	s.process = s.command(s.folder, s.address)
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(s.folder + ".log")
	must(err)
	s.process.Stderr, s.process.Stdout = log, log
	began := time.Now()
	must(s.process.Start())
	for {
		if connection, err := net.Dial("tcp", s.address); err == nil {
			must(connection.Close())
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			_, err = s.client.ListBuckets(ctx)
			cancel()
			if err == nil {
				return time.Since(began)
			}
		}
		if time.Since(began) > time.Minute {
			fail("%s doesn't answer; see %s", s.name, log.Name())
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *server) stop() {
	must(s.process.Process.Signal(syscall.SIGTERM))
	_ = s.process.Wait() // How it ends tells nothing here.
}

// User and system time since its start. The kernel counts in hundredths of a second.
func (s *server) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	must(err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		must(err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// Our own and that of the clients that have ended. The servers still run.
func clientCPU() time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		must(syscall.Getrusage(who, &usage))
		sum += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return sum
}

// From now on the peak of the resident memory is counted anew.
func (s *server) forgetPeak() {
	must(os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.process.Process.Pid), []byte("5"), 0o200))
}

// A line of /proc/PID/status, in MiB: VmRSS or VmHWM.
func (s *server) memory(line string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	must(err)
	_, rest, _ := strings.Cut(string(text), line+":")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	must(err)
	return kib / 1024
}

// Whether content is encrypted at rest, though no request asks for it.
type atRest int

const (
	plain atRest = iota
	sseS3
	sseKms
)

// 32 bytes in base64.
const externalKey = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="

func coffer(program, identity string, rest atRest) func(string, string) *exec.Cmd {
	return func(folder, address string) *exec.Cmd {
		_, port, _ := net.SplitHostPort(address)
		command := exec.Command(program, "--listen", "127.0.0.1:"+port, "--data", folder, "--tls", identity,
			"--root-credentials", identity, "--drain-seconds", "0")
		if rest != plain {
			keys := filepath.Join(identity, "kms")
			must(os.MkdirAll(keys, 0o700))
			must(os.WriteFile(filepath.Join(keys, "bench"), []byte(externalKey), 0o600))
			command.Env = append(os.Environ(), "COFFER_KMS_PROVIDER=static", "COFFER_KMS_STATIC="+keys,
				"COFFER_KMS_DEFAULT_KEY=bench", "COFFER_AUTO_ENCRYPT=true")
		}
		return command
	}
}

func theirs(program, identity string, rest atRest) func(string, string) *exec.Cmd {
	return func(folder, address string) *exec.Cmd {
		_, port, _ := net.SplitHostPort(address)
		command := exec.Command(program, "server", "--address", "127.0.0.1:"+port, "--certs-dir", identity, "--quiet", folder)
		command.Env = append(os.Environ(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off")
		if rest != plain {
			command.Env = append(command.Env, "MINIO_KMS_SECRET_KEY=bench:"+externalKey, "MINIO_KMS_AUTO_ENCRYPTION=on")
		}
		return command
	}
}

var roots = x509.NewCertPool()

// A folder with one certificate under the names that either server expects, and the root credentials.
func writeIdentity(folder string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	must(os.MkdirAll(folder, 0o700))
	for name, text := range map[string][]byte{
		"tls.crt": certificate, "public.crt": certificate, "tls.key": private, "private.key": private,
		"accessKey": []byte(accessKey), "secretKey": []byte(secretKey),
	} {
		must(os.WriteFile(filepath.Join(folder, name), text, 0o600))
	}
	roots.AppendCertsFromPEM(certificate)
}

// The SDK as people use it; only the certificate is told.
func newClient(address string) *minio.Client {
	transport, err := minio.DefaultTransport(true)
	must(err)
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	transport.MaxIdleConnsPerHost = connections
	var tripper http.RoundTripper = transport
	client, err := minio.New(address, &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Secure: true, Region: "us-east-1", Transport: tripper,
	})
	must(err)
	return client
}
