package config

import "bridge.example/signedlist"

// Operator is who runs the bridge, as the signed list says it in the format of
// TS 119 612, which demands a name and an address. Without it the list is not
// published in that format.
type Operator struct {
	// Name is that of the legal person. Required, and so is what follows, apart
	// from PostalCode.
	Name       string `yaml:"name"`
	Street     string `yaml:"street"`
	PostalCode string `yaml:"postal_code"`
	Locality   string `yaml:"locality"`
	// Country is two capital letters of ISO 3166-1.
	Country string `yaml:"country"`
	// Email is where people reach it.
	Email string `yaml:"email"`
}

// Scheme is what lists say about this bridge; nil when nobody is named.
func (c *Config) Scheme() *signedlist.Scheme {
	o := c.Operator
	if o == (Operator{}) {
		return nil
	}
	return &signedlist.Scheme{
		Name: c.Bridge.Name, URL: c.Repository.URL,
		Operator: o.Name, Street: o.Street, PostalCode: o.PostalCode, Locality: o.Locality, Country: o.Country, Email: o.Email,
	}
}
