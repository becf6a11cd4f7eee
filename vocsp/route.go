package vocsp

import (
	"crypto"
	"math/big"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
)

// table is an immutable set of routes, found by what a CertID says of the
// issuer.
type table struct {
	routes map[issuer]*Route
}

type issuer struct {
	hash      crypto.Hash
	name, key string // hashes, of hash's size
}

func issuerOf(id ocsp.CertID) issuer {
	return issuer{id.Hash, string(id.NameHash), string(id.KeyHash)}
}

func newTable(rs []Route) (*table, error) {
	hashes := ocsp.Hashes()
	t := &table{routes: make(map[issuer]*Route, len(rs)*len(hashes))}
	owners := make(map[string]string, len(rs)) // member by hash of the CA's key
	for _, r := range rs {
		if r.Issuer == nil || r.Source == nil {
			return nil, fault.New(fault.Invalid, "route of %q: want an issuer and a source", r.Member)
		}
		for _, h := range hashes {
			id, err := ocsp.NewCertID(h, r.Issuer, new(big.Int))
			if err != nil {
				return nil, err
			}
			t.routes[issuerOf(id)] = &r
			if h != crypto.SHA256 {
				continue
			}
			if other, taken := owners[string(id.KeyHash)]; taken {
				return nil, fault.New(fault.Conflict, "routes of %q and %q are for the same CA key, that of %q", other, r.Member, r.Issuer.Subject)
			}
			owners[string(id.KeyHash)] = r.Member
		}
	}
	return t, nil
}

// find returns the route for id, or nil.
func (t *table) find(id ocsp.CertID) *Route { return t.routes[issuerOf(id)] }

// forget makes sources drop what they have kept, those that keep anything.
func (t *table) forget() {
	for _, r := range t.routes {
		if c, ok := r.Source.(interface{ Forget() }); ok {
			c.Forget()
		}
	}
}
