package acme

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// cache is where keys and certificates of one CA are kept. Domains are safe as names of files:
// CheckDomain lets nothing else pass.
type cache struct{ dir string }

// cacheFor is the directory for a CA below root, so that what a test CA has issued is never taken for
// another's.
func cacheFor(root, directory string) (cache, error) {
	u, err := url.Parse(directory)
	if err != nil {
		return cache{}, err
	}
	hash := sha256.Sum256([]byte(directory))
	return cache{filepath.Join(root, u.Hostname()+"-"+hex.EncodeToString(hash[:4]))}, nil
}

// errNoDirectory is for a place where no directory can be.
var errNoDirectory = errors.New("cannot be made: its parent does not exist or takes no directory")

// openCache makes the directory for a CA, and checks that it is nobody else's.
func openCache(root, directory string) (cache, error) {
	c, err := cacheFor(root, directory)
	if err != nil {
		return cache{}, err
	}
	switch err := os.MkdirAll(c.dir, 0o700); {
	case errors.Is(err, fs.ErrNotExist):
		return cache{}, errNoDirectory
	case err != nil:
		return cache{}, plain(err)
	}
	return c, c.usable(root)
}

// checkCache says why openCache would fail, as far as that shows without making anything.
func checkCache(root, directory string) error {
	c, err := cacheFor(root, directory)
	if err != nil {
		return err
	}
	at := c.dir // the nearest that there is
	for {
		if _, err = os.Lstat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		at = filepath.Dir(at)
	}
	if err != nil {
		return plain(err)
	}
	switch at {
	case c.dir:
		return c.usable(root)
	case filepath.Clean(root):
		if err := private(at, "it"); err != nil {
			return err
		}
	}
	info, err := os.Stat(at)
	var kind unix.Statfs_t
	switch {
	case errors.Is(err, fs.ErrNotExist): // a link to nowhere
		return errNoDirectory
	case err != nil:
		return plain(err)
	case !info.IsDir():
		return unix.ENOTDIR
	case unix.Statfs(at, &kind) == nil && (kind.Type == unix.PROC_SUPER_MAGIC || kind.Type == unix.SYSFS_MAGIC):
		return errNoDirectory // though root may write there
	}
	return plain(unix.Access(at, unix.W_OK|unix.X_OK))
}

// usable checks that the directories are there for this process and for nobody else: who could write to
// one could put another in place of what is in it, and be given the keys.
func (c cache) usable(root string) error {
	if err := private(root, "it"); err != nil {
		return err
	}
	if info, err := os.Lstat(c.dir); err == nil && info.Mode().Type() == fs.ModeSymlink {
		return fmt.Errorf("%s in it is a link", filepath.Base(c.dir))
	}
	if err := private(c.dir, filepath.Base(c.dir)+" in it"); err != nil {
		return err
	}
	return plain(unix.Access(c.dir, unix.W_OK|unix.X_OK))
}

// private says why a directory, which is called what, is not this user's alone. The operator's own
// path may be a link.
func private(dir, what string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return plain(err)
	}
	switch mode := st.Mode & 0o777; {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return unix.ENOTDIR
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to another user (%d, and this one is %d); choose a directory that is for these keys only", what, st.Uid, os.Geteuid())
	case mode&0o077 != 0:
		return fmt.Errorf("%s is open to others, with mode %04o; choose a directory that is for these keys only, with mode 0700", what, mode)
	}
	return nil
}

// plain says what the system said, without the path; nil for nil.
func plain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("may not be used by this user; change its mode or owner, or choose another")
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func (c cache) file(domain string) string { return filepath.Join(c.dir, domain+".pem") }

// load reads what is kept for a domain; fs.ErrNotExist when there is nothing. Certificates that are
// expired are returned too.
func (c cache) load(domain string) (*tls.Certificate, error) {
	content, err := os.ReadFile(c.file(domain))
	if err != nil {
		return nil, err
	}
	return parse(domain, content)
}

// parse makes a certificate of a key and a chain, and checks that they belong together and are for
// the domain.
func parse(domain string, content []byte) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(content, content)
	if err != nil {
		return nil, err
	}
	if err := cert.Leaf.VerifyHostname(domain); err != nil {
		return nil, err
	}
	return &cert, nil
}

// store replaces what is kept for a domain.
func (c cache) store(domain string, key crypto.Signer, chain []byte) error {
	var b bytes.Buffer
	if err := writeKey(&b, key); err != nil {
		return err
	}
	b.Write(chain)
	return replace(c.file(domain), b.Bytes())
}

// accountKey returns the key of the account, and makes it when there is none. The caller holds the
// lock "account".
func (c cache) accountKey() (key crypto.Signer, made bool, err error) {
	name := filepath.Join(c.dir, "account.key")
	content, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = newKey(); err != nil {
			return nil, false, err
		}
		var b bytes.Buffer
		if err := writeKey(&b, key); err != nil {
			return nil, false, err
		}
		return key, true, replace(name, b.Bytes())
	}
	if err != nil {
		return nil, false, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, false, fmt.Errorf("%s holds no PEM key; remove it to make another account", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, false, fmt.Errorf("%s: a key that cannot sign", name)
	}
	return signer, false, nil
}

func newKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func writeKey(b *bytes.Buffer, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return pem.Encode(b, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// replace writes a file so that a reader, and a machine that loses power, finds the old content or the
// new, whole.
func replace(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if dir, err := os.Open(filepath.Dir(name)); err == nil {
		_ = dir.Sync() // the name; the content is safe
		_ = dir.Close()
	}
	return nil
}

// lockEvery is how often a lock is tried that another process holds.
const lockEvery = time.Second

// lock waits for the lock of a name among all processes that use this directory, and returns how to
// give it back. The kernel gives it back for a process that dies.
func (c cache) lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.dir, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-time.After(lockEvery):
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		}
	}
}
