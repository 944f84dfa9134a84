package certs

import (
	"cmp"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"time"
)

// entry is a certificate as it is served. It does not change.
type entry struct {
	cert *tls.Certificate // with its Leaf
	info Info
	rank int
}

func newEntry(c *tls.Certificate, source string, loaded time.Time) *entry {
	return &entry{cert: c, info: InfoOf(c.Leaf, source, loaded), rank: rank(c.Leaf)}
}

// table finds certificates by name. It does not change: a reload makes another one.
type table struct {
	all   []*entry // in the order of the configuration
	exact map[string][]*entry
	wild  map[string][]*entry // "example.com" for *.example.com
	first []*entry            // for who names nobody: the first, and others with the same names
}

// newTable sorts entries by their names. Its error is an entry that nobody could ask for.
func newTable(all []*entry) (*table, error) {
	t := &table{all: all, exact: map[string][]*entry{}, wild: map[string][]*entry{}}
	for i, e := range all {
		for _, name := range e.info.Names {
			if parent, ok := strings.CutPrefix(name, "*."); ok {
				t.wild[parent] = append(t.wild[parent], e)
			} else {
				t.exact[name] = append(t.exact[name], e)
			}
		}
		// The first is for who asks for nothing; of any other nobody could know.
		if i > 0 && len(e.cert.Leaf.DNSNames) == 0 && !sameNames(e.cert.Leaf, all[0].cert.Leaf) {
			return nil, &FileError{RoleCert, cmp.Or(e.info.Source, "in memory"), errors.New("has no DNS name in its subjectAltName: put it first, or have it issued with one")}
		}
		if i == 0 || sameNames(e.cert.Leaf, all[0].cert.Leaf) {
			t.first = append(t.first, e)
		}
	}
	for _, lists := range []map[string][]*entry{t.exact, t.wild} {
		for _, list := range lists {
			byRank(list)
		}
	}
	byRank(t.first)
	return t, nil
}

// byRank puts the cheap kinds first and leaves the order of the configuration otherwise.
func byRank(list []*entry) {
	slices.SortStableFunc(list, func(a, b *entry) int { return cmp.Compare(a.rank, b.rank) })
}

// wildcard finds the entries whose wildcard stands for name's first label.
func (t *table) wildcard(name string) []*entry {
	label, parent, ok := strings.Cut(name, ".")
	if !ok || label == "" {
		return nil
	}
	return t.wild[parent]
}

// choose picks from entries of one name what the client can check: one that is good at now, else
// one that is expired, else the first, and then the handshake says what the client lacks. nil for no
// entries.
func choose(list []*entry, hello *tls.ClientHelloInfo, now time.Time) *tls.Certificate {
	switch len(list) {
	case 0:
		return nil
	case 1: // SupportsCertificate costs a few allocations, and there is no choice
		return list[0].cert
	}
	var expired *entry
	for _, e := range list {
		if hello.SupportsCertificate(e.cert) != nil {
			continue
		}
		if !now.After(e.info.NotAfter) {
			return e.cert
		}
		if expired == nil {
			expired = e
		}
	}
	if expired == nil {
		expired = list[0]
	}
	return expired.cert
}
