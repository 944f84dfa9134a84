// Command gotls is a crypto/tls server with a goroutine for each connection, to measure weir's TLS
// against: it echoes length-prefixed frames. It limits nothing.
//
//	gotls -frames 127.0.0.1:7444 -buffer 65536
//
// It reads into a buffer for each connection and answers all frames of a read with one Write.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

func main() {
	addr := flag.String("frames", "127.0.0.1:7444", "where to listen")
	buffer := flag.Int("buffer", 64<<10, "bytes of each connection's buffer, and of the largest frame with its length")
	flag.Parse()
	fmt.Fprintln(os.Stderr, "gotls:", serve(*addr, *buffer))
	os.Exit(1)
}

// serve returns only when it cannot go on.
func serve(addr string, buffer int) error {
	cert, err := certificate()
	if err != nil {
		return err
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go echo(tls.Server(c, cfg), buffer)
	}
}

func echo(c *tls.Conn, buffer int) {
	defer c.Close()
	if c.Handshake() != nil {
		return
	}
	buf, n := make([]byte, buffer), 0
	for {
		got, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		n += got
		whole := 0
		for n-whole >= 4 {
			frame := 4 + int(binary.BigEndian.Uint32(buf[whole:]))
			if n-whole < frame {
				break
			}
			whole += frame
		}
		if whole == 0 && n == len(buf) {
			return // a frame that is larger than the buffer
		}
		if whole > 0 {
			if _, err := c.Write(buf[:whole]); err != nil {
				return
			}
			n = copy(buf, buf[whole:n])
		}
	}
}

// certificate is self-signed, with a key on P-256 as weir's.
func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
