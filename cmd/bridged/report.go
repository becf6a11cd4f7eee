package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/internal/ceremony"
	"bridge.example/internal/fault"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/statedir"
)

// made is a report as JSON.
type made struct {
	Made           string               `json:"made"`
	Directory      string               `json:"directory"`
	Config         string               `json:"config,omitempty"`
	Request        string               `json:"request,omitempty"`
	KeyFingerprint string               `json:"key_fingerprint,omitempty"`
	AuditKey       string               `json:"audit_key,omitempty"` // fingerprint by which exports of the audit log are verified
	Certificates   []madeCertificate    `json:"certificates"`
	Keys           []madeKey            `json:"keys"`
	Persons        map[people.ID]string `json:"persons,omitempty"`
	Next           []string             `json:"next"`
}

type madeCertificate struct {
	Role     string    `json:"role"`
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"not_after"`
	SHA256   string    `json:"sha256"`
	File     string    `json:"file"`
}

type madeKey struct {
	Name       string `json:"name"`
	Place      string `json:"place"`
	Protection string `json:"protection"`
	Kind       string `json:"kind,omitempty"`
	Holder     string `json:"holder"`
}

func outputFlag(c *cobra.Command, output *string) {
	c.Flags().StringVar(output, "output", "text", "text or json")
}

// report says what was made, unless it was not.
func report(w io.Writer, output string, r *ceremony.Report, err error) error {
	if err != nil {
		return err
	}
	m := toldOf(r)
	switch output {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(m)
	case "text":
		return m.print(w)
	}
	return fault.New(fault.Invalid, "--output: %q is neither text nor json; all was made nevertheless", output)
}

func toldOf(r *ceremony.Report) made {
	d := statedir.Dir(r.Directory)
	m := made{Made: r.Made, Directory: r.Directory, Config: r.Config, Request: r.Request, AuditKey: r.AuditKey, Persons: r.Persons, Certificates: []madeCertificate{}}
	if r.RequestKey != nil {
		m.KeyFingerprint = ceremony.KeyFingerprint(r.RequestKey)
	}
	add := func(role, name string, c *x509.Certificate) {
		if c != nil {
			m.Certificates = append(m.Certificates, madeCertificate{role, c.Subject.String(), c.NotAfter, ceremony.Fingerprint(c), d.Certificate(name)})
		}
	}
	add("Root", statedir.Root, r.Root)
	add("Bridge CA", statedir.BridgeCA, r.BridgeCA)
	for _, k := range r.Keys {
		m.Keys = append(m.Keys, madeKey{k.Name, k.Place, protection(k), string(k.Kind), k.Holder})
	}
	switch r.Made {
	case "root":
		m.Next = []string{
			"Keep " + r.Directory + " on two media in two places, its passphrase in neither.",
			"Read the root's fingerprint aloud; members compare it before they trust.",
			"On the bridge's machine: bridged ceremony request DIR --name …",
		}
	case "request":
		m.Next = []string{
			"Carry " + r.Request + " to the root's machine.",
			"There, with the key's fingerprint read aloud: bridged ceremony certify ROOT --request …",
			"Then here: bridged init " + r.Directory + " --certified …",
		}
	case "bridge":
		if r.Root != nil {
			first := "Members' anchor is the root: compare its fingerprint with what is read aloud at the root's machine."
			if r.RootDirectory != "" {
				first = "Move " + r.RootDirectory + " to a medium without a network, and delete it here: it is members' anchor."
			}
			m.Next = append(m.Next, first, "Before the root's CRL runs out: bridged ceremony crl there, bridged ceremony import here.")
		} else {
			m.Next = append(m.Next, "Read the bridge CA's fingerprint aloud; members compare it before they trust.")
		}
		for _, id := range slices.Sorted(maps.Keys(r.Persons)) {
			m.Next = append(m.Next, fmt.Sprintf("Hand %s over to %s and delete it here.", r.Persons[id], id))
		}
		if len(r.Lacking) > 0 {
			m.Next = append(m.Next, "Appoint more persons before the first admission: "+strings.Join(r.Lacking, "; ")+".")
		}
		if r.Appointers < 3 {
			m.Next = append(m.Next, fmt.Sprintf("Only %d can appoint others, and it takes two: appoint a third before one is lost.", r.Appointers))
		}
		m.Next = append(m.Next, "Serve it with: bridged run --config "+r.Config)
	}
	return m
}

// protection says what keeps strangers from a key.
func protection(k ceremony.Key) string {
	switch {
	case !k.New:
		return "existed before"
	case k.Sealed:
		return "encrypted"
	}
	return "not encrypted"
}

func (m made) print(w io.Writer) error {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-14s "+format+"\n", append([]any{name}, args...)...)
	}
	for _, c := range m.Certificates {
		line(c.Role, "%s", c.Subject)
		line("  valid until", "%s", c.NotAfter.Format(time.DateOnly))
		line("  fingerprint", "%s", c.SHA256)
		line("  file", "%s", c.File)
	}
	if m.Request != "" {
		line("Request", "%s", m.Request)
		line("  of the key", "%s", m.KeyFingerprint)
	}
	for _, k := range m.Keys {
		line("Key", "%s, %s", k.Name, k.Protection)
		line("  in", "%s", k.Place)
		line("  held by", "%s", k.Holder)
	}
	if m.AuditKey != "" {
		line("Audit key", "%s", m.AuditKey)
	}
	for _, id := range slices.Sorted(maps.Keys(m.Persons)) {
		line("Person", "%s, credential not encrypted", id)
		line("  in", "%s", m.Persons[id])
	}
	if m.Config != "" {
		line("Configuration", "%s", m.Config)
	}
	fmt.Fprintln(w)
	for i, n := range m.Next {
		if _, err := fmt.Fprintf(w, "%d. %s\n", i+1, n); err != nil {
			return err
		}
	}
	return nil
}
