package lab

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Lookup asks a directory for the certificates of a mail address, as a mail
// client does: the attribute by its RFC 4523 name, below base.
func Lookup(ctx context.Context, url, base, address string) ([]*x509.Certificate, error) {
	conn, err := ldap.DialURL(url)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", url, err)
	}
	defer conn.Close()
	conn.SetTimeout(10 * time.Second)
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	res, err := conn.Search(&ldap.SearchRequest{
		BaseDN: base, Scope: ldap.ScopeWholeSubtree,
		Filter:     "(mail=" + ldap.EscapeFilter(address) + ")",
		Attributes: []string{"userCertificate;binary"},
	})
	if err != nil {
		return nil, fmt.Errorf("searching %s: %w", url, err)
	}
	var out []*x509.Certificate
	for _, e := range res.Entries {
		for _, der := range e.GetRawAttributeValues("userCertificate;binary") {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, fmt.Errorf("certificate of %s: %w", e.DN, err)
			}
			out = append(out, c)
		}
	}
	return out, nil
}
