package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/internal/subscription"
	"bridge.example/signedlist"
)

func (t *tool) listCommand() *cobra.Command {
	return t.noun("list", "Fetch the signed list, check it, and subscribe to it",
		t.listFetch(), t.listVerify(), t.listShow(), t.listDiff(), t.listSelect(), t.listSubscribe())
}

// maxListBytes bounds a list in a file, as it does one that is fetched.
const maxListBytes = subscription.MaxListBytes

// entry is an entry of a list as commands show it.
type entry struct {
	Member string `json:"member"`
	Title  string `json:"title"`
	certificate
	Levels      []string `json:"levels"`
	Policies    []string `json:"policies"`
	MailDomains []string `json:"mail_domains"`
}

func newEntry(e signedlist.Entry) entry {
	return entry{
		Member: e.Member, Title: e.Title, certificate: newCertificate(e.Certificate.Raw),
		Levels: each(e.Levels, x509.OID.String), Policies: each(e.Policies, x509.OID.String), MailDomains: each(e.MailDomains, same),
	}
}

// openFile opens the list in a file for reading it: one that has expired since
// is as good as another, and reported. Errors: those of readFile; no when it
// does not hold.
func (t *tool) openFile(file, anchorFile string, at time.Time) (*signedlist.List, error) {
	anchor, err := readCertificate(anchorFile)
	if err != nil {
		return nil, err
	}
	der, err := readFile(file, maxListBytes)
	if err != nil {
		return nil, err
	}
	list, err := signedlist.Open(der, poolOf(anchor), at)
	if errors.Is(err, signedlist.ErrExpired) {
		t.note("%s: %v", file, err)
		return list, nil
	}
	if err != nil {
		return nil, no{fmt.Errorf("%s: %w", file, err)}
	}
	return list, nil
}

func poolOf(anchor *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(anchor)
	return pool
}
