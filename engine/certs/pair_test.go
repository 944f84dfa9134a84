package certs

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFilesThatCannotBeUsedAreOnePlainLine(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	good, other := ca.issue(t, "P-256", time.Hour, "a.example"), ca.issue(t, "P-256", time.Hour, "a.example")
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		put(t, path, content)
		return path
	}
	cert, key := file("cert", good.certPEM()), file("key", good.keyPEM(t))
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cut := func(pem []byte) []byte { return pem[:len(pem)/2] }
	small := ca.issue(t, "RSA 1024", time.Hour, "a.example")
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	oldEncrypted := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x")})
	rubbish := func(kind string) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("x")}) }
	for _, c := range []struct {
		cert, key, ca string
		want          string
		role          string
		why           string
	}{
		{dir + "/nosuch", key, "", "there is no such file", RoleCert, "missing"},
		{cert, dir + "/nosuch", "", "there is no such file", RoleKey, "missing key"},
		{dir, key, "", "is no regular file", RoleCert, "a directory"},
		{fifo, key, "", "is no regular file", RoleCert, "a pipe would block"},
		{"/dev/zero", key, "", "is no regular file", RoleCert, "endless"},
		{file("large", make([]byte, maxFile+1)), key, "", "is larger than 4 MiB", RoleCert, "large"},
		{file("empty", nil), key, "", "holds no whole PEM certificate", RoleCert, "empty"},
		{file("der", good.der), key, "", "holds no whole PEM certificate", RoleCert, "DER"},
		{file("cut", cut(good.certPEM())), key, "", "holds no whole PEM certificate, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----", RoleCert, "cut short"},
		{file("cut2", append(good.certPEM(), cut(ca.pem())...)), key, "", "holds 1 whole PEM certificates and 2 lines -----BEGIN CERTIFICATE-----: one is cut short", RoleCert, "a chain cut short"},
		{file("cutwithkey", append(good.keyPEM(t), cut(good.certPEM())...)), key, "", "holds a private key and no certificate", RoleCert, "a key, and half a certificate"},
		{key, cert, "", "holds a private key and no certificate: perhaps the two files are swapped", RoleCert, "swapped"},
		{cert, cert, "", "holds a certificate and no private key", RoleKey, "the certificate twice"},
		{file("bad", rubbish("CERTIFICATE")), key, "", "certificate 1 in it cannot be read", RoleCert, "rubbish inside"},
		{file("bad2", append(good.certPEM(), rubbish("CERTIFICATE")...)), key, "", "certificate 2 in it cannot be read", RoleCert, "rubbish in the chain"},
		{cert, file("nokey", []byte("secret")), "", "holds no whole PEM private key", RoleKey, "no key"},
		{cert, file("cutkey", cut(good.keyPEM(t))), "", "holds no whole PEM private key, from -----BEGIN PRIVATE KEY-----", RoleKey, "a key cut short"},
		{cert, file("badkey", rubbish("PRIVATE KEY")), "", "holds a private key that cannot be read", RoleKey, "rubbish inside"},
		{cert, file("enc", encrypted), "", "is encrypted; write a copy without a password, to another file: openssl pkey -in FILE -out NEWFILE", RoleKey, "encrypted"},
		{cert, file("enc2", oldEncrypted), "", "is encrypted", RoleKey, "encrypted as it was once done"},
		{cert, file("other", other.keyPEM(t)), "", "does not belong to the certificate in " + cert, RoleKey, "another key"},
		{file("small", small.certPEM()), file("smallkey", small.keyPEM(t)), "", "has an RSA key of 1024 bits; at least 2048 are needed", RoleCert, "a weak key"},
		{cert, key, dir + "/nosuch", "there is no such file", RoleClientCA, "missing CA"},
		{cert, key, key, "holds no whole PEM certificate", RoleClientCA, "no CA"},
		{cert, key, file("cutca", cut(ca.pem())), "holds no whole PEM certificate", RoleClientCA, "a CA cut short"},
		{cert, key, file("cutca2", append(ca.pem(), cut(ca.pem())...)), "one is cut short", RoleClientCA, "one of two"},
		{cert, key, file("badca", append(ca.pem(), rubbish("CERTIFICATE")...)), "certificate 2 in it cannot be read", RoleClientCA, "half a CA"},
	} {
		_, err := Open(Config{Pairs: []Pair{{c.cert, c.key}}, ClientCA: c.ca, Every: -1})
		var file *FileError
		switch {
		case !errors.As(err, &file):
			t.Errorf("%s: got %v", c.why, err)
		case file.Role != c.role || !strings.Contains(file.Err.Error(), c.want) || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), c.role+" "+file.Path+": "):
			t.Errorf("%s: got %q, want %q of the %s", c.why, err, c.want, c.role)
		}
	}
	if os.Getuid() != 0 {
		if err := os.Chmod(key, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Pairs: []Pair{{cert, key}}}); err == nil || !strings.Contains(err.Error(), "may not be read by this user") {
			t.Errorf("unreadable: %v", err)
		}
	}
	address := ca.issue(t, "P-256", time.Hour, "192.0.2.1").pairIn(t, dir, "address")
	if _, err := Open(Config{Pairs: []Pair{{cert, file("again", good.keyPEM(t))}, address}}); err == nil || !strings.Contains(err.Error(), "has no DNS name in its subjectAltName: put it first, or have it issued with one") {
		t.Errorf("a certificate that nobody can ask for: %v", err)
	}
	s := open(t, Config{Pairs: []Pair{address}})
	if got := handshake(t, policy(t, s, Policy{})(), asks("")).got(); got != "192.0.2.1" {
		t.Errorf("as the first one it can: %s", got)
	}
}

func TestKeysOfAllForms(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	ec, r, ed := ca.issue(t, "P-256", time.Hour, "a.example"), ca.issue(t, "RSA", time.Hour, "a.example"), ca.issue(t, "Ed25519", time.Hour, "a.example")
	sec1, err := x509.MarshalECPrivateKey(ec.key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	params := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8}})
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for _, c := range []struct {
		l    leaf
		key  []byte
		want string
		why  string
	}{
		{ec, ec.keyPEM(t), "ECDSA P-256", "PKCS #8"},
		{ec, append(params, block("EC PRIVATE KEY", sec1)...), "ECDSA P-256", "as openssl ecparam -genkey writes it"},
		{r, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r.key.(*rsa.PrivateKey))), "RSA 2048", "PKCS #1"},
		{ed, ed.keyPEM(t), "Ed25519", "Ed25519"},
		{ca.issue(t, "P-384", time.Hour, "a.example"), nil, "ECDSA P-384", "P-384"},
	} {
		if c.key == nil {
			c.key = c.l.keyPEM(t)
		}
		p := Pair{filepath.Join(dir, "c"), filepath.Join(dir, "k")}
		put(t, p.Cert, append(append([]byte("a comment, as openssl -text writes it\n"), c.l.certPEM()...), ca.pem()...))
		put(t, p.Key, c.key)
		s, err := Open(Config{Pairs: []Pair{p}, Every: -1})
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if got := s.Info()[0].Key; got != c.want {
			t.Errorf("%s: %s", c.why, got)
		}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := &tls.Config{ServerName: "a.example", RootCAs: ca.pool, MaxVersion: version}
			o := handshake(t, policy(t, s, Policy{})(), client)
			if o.clientErr != nil || len(o.client.PeerCertificates) != 2 {
				t.Errorf("%s, %s: %v, %d certificates", c.why, tls.VersionName(version), o.clientErr, len(o.client.PeerCertificates))
			}
		}
	}
}
