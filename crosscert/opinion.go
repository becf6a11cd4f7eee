package crosscert

import (
	"crypto/x509"

	"github.com/zmap/zlint/v3/lint"

	"bridge.example/internal/fault"
)

// SecondOpinion holds a CA certificate of somebody else against the rules of
// RFC 5280 as others wrote them down (zlint), and returns those it breaks,
// ordered by name. The error is Invalid when it cannot be read by them.
func SecondOpinion(c *x509.Certificate) ([]Finding, error) {
	rules, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280}})
	if err != nil {
		return nil, fault.New(fault.Internal, "choosing rules: %w", err)
	}
	return opinions(rules, c)
}
