package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"bridge.example/crosscert"
	"bridge.example/internal/daemon"
	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/internal/setup/statedir"
	"bridge.example/membership"
)

// ready is the object in the ready file. Paths of files are relative to the
// state directory.
type ready struct {
	State      string `json:"state"`      // the state directory, absolute
	LDAP       string `json:"ldap"`       // URL of the virtual directory
	LDAPBase   string `json:"ldap_base"`  // root of its tree
	OCSP       string `json:"ocsp"`       // URL of the virtual responder
	Repository string `json:"repository"` // URL
	Admin      string `json:"admin"`      // host:port of the administrative interface

	BridgeCA   string   `json:"bridge_ca"`   // file
	OCSPSigner string   `json:"ocsp_signer"` // file
	ListSigner string   `json:"list_signer"` // file
	SignedList string   `json:"signed_list"` // URL
	Officers   []string `json:"officers"`    // credential directories
	Policy     string   `json:"policy"`      // the bridge's OID of the level used

	AdminCA string        `json:"admin_ca"` // file
	Persons []readyPerson `json:"persons"`
	Members []readyMember `json:"members"`
}

type readyPerson struct {
	ID          string            `json:"id"`
	Roles       []membership.Role `json:"roles"`
	Member      string            `json:"member,omitempty"` // for whom an applicant acts
	Credentials string            `json:"credentials"`      // directory
}

type readyMember struct {
	ID        string      `json:"id"`
	Policy    string      `json:"policy"`  // the member's own OID
	Root      string      `json:"root"`    // file
	Issuing   string      `json:"issuing"` // file
	CrossTo   string      `json:"cross_to"`
	CrossFrom string      `json:"cross_from"`
	LDAP      string      `json:"ldap"` // URL of its own directory
	OCSP      string      `json:"ocsp"` // URL of its own responder
	Users     []readyUser `json:"users"`
}

type readyUser struct {
	Mail        string    `json:"mail"`
	Certificate string    `json:"certificate"`
	Key         string    `json:"key"`
	State       lab.State `json:"state"`
}

// crossTo is the file with the certificate that the bridge issued to a member.
func (d *demo) crossTo(m *lab.Organisation) string {
	return filepath.Join(d.state, m.Spec.ID, "cross-to.pem")
}

// keepCross writes the certificates that the bridge issued to files, for tools
// that read no directory. A member that is not in force has none.
func (d *demo) keepCross(a *daemon.Daemon) error {
	for _, t := range a.Artifacts().Trusted {
		for _, m := range d.members {
			if m.Spec.ID != string(t.ID) || len(t.CrossTo) == 0 {
				continue
			}
			if err := statedir.WritePEM(d.crossTo(m), t.CrossTo[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetReady removes the ready file of an earlier demo, so that whoever waits
// for it waits for this one.
func (d *demo) forgetReady() error {
	if d.readyFile == "" {
		return nil
	}
	if err := os.Remove(d.readyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Denied, "removing the old ready file: %w", err)
	}
	return nil
}

func (d *demo) writeReady() error {
	if d.readyFile == "" {
		return nil
	}
	r := ready{
		State: d.state,
		LDAP:  "ldap://" + d.ports.directory(), LDAPBase: demoBase, OCSP: "http://" + d.ports.responder() + "/",
		Repository: "http://" + d.ports.repository(), Admin: d.ports.admin(),
		BridgeCA: d.relative(d.bridge.Certificate(statedir.BridgeCA)), OCSPSigner: d.relative(d.bridge.Certificate(statedir.OCSPSigner)),
		ListSigner: d.relative(d.bridge.Certificate(statedir.ListSigner)), SignedList: "http://" + d.ports.repository() + daemon.ListPath,
		Policy: demoLevel, AdminCA: d.relative(d.bridge.Certificate(statedir.AdminCA)),
	}
	for _, person := range holders(membership.Officer, "") {
		r.Officers = append(r.Officers, d.relative(d.bridge.Officer(person)))
	}
	for _, p := range demoPersons() {
		r.Persons = append(r.Persons, readyPerson{string(p.ID), p.Roles, string(p.Member), d.relative(d.bridge.Officer(string(p.ID)))})
	}
	for _, m := range d.members {
		rm := readyMember{
			ID: m.Spec.ID, Policy: m.Spec.Policy, Root: d.relative(m.Root.File), Issuing: d.relative(m.Issuing.File),
			CrossTo: d.relative(d.crossTo(m)), CrossFrom: d.relative(m.CrossFile()), LDAP: m.Directory().URL, OCSP: m.Issuing.OCSP,
		}
		for _, u := range m.Users() {
			rm.Users = append(rm.Users, readyUser{Mail: u.Mail, Certificate: d.relative(u.File), Key: d.relative(u.KeyFile), State: u.State})
		}
		r.Members = append(r.Members, rm)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(d.readyFile, append(b, '\n')); err != nil {
		return fault.New(fault.Denied, "writing the ready file: %w", err)
	}
	return nil
}

func (d *demo) relative(path string) string {
	if r, err := filepath.Rel(d.state, path); err == nil {
		return r
	}
	return path
}

// printTour prints what listens where, and commands to paste.
func (d *demo) printTour() error {
	alpha, beta := d.members[0], d.members[1]
	bob, err := beta.User("bob")
	if err != nil {
		return err
	}
	revoked, err := beta.User("remy")
	if err != nil {
		return err
	}
	d.printf("\nWhat listens\n\n")
	for _, l := range []struct{ what, where string }{
		{"virtual directory", "ldap://" + d.ports.directory()}, {"virtual responder", "http://" + d.ports.responder() + "/"},
		{"repository", "http://" + d.ports.repository() + "/"}, {"admin interface", d.ports.admin()},
		{"alpha's directory", alpha.Directory().URL}, {"alpha's responder", alpha.Issuing.OCSP}, {"alpha's CRL", alpha.Issuing.CRL},
		{"beta's directory", beta.Directory().URL}, {"beta's responder", beta.Issuing.OCSP}, {"beta's CRL", beta.Issuing.CRL},
		{"proofs of domains", "dns://" + d.names.Addr},
	} {
		d.printf("  %-20s %s\n", l.what, l.where)
	}
	d.printf("\nTry these from another terminal\n")
	ca := quote(d.bridge.Certificate(statedir.BridgeCA))
	list, issued := quote(filepath.Join(d.state, "list.p7s")), quote(filepath.Join(d.state, "issued-by-bridge.p7c"))
	tool := quote(bridgectl()) + " --credentials "
	as := func(person string) string { return tool + quote(d.bridge.Officer(person)) }
	ada := as("ada")
	for _, c := range []struct{ what, command string }{
		{"Bob's certificate, through the bridge",
			"ldapsearch -x -LLL -o ldif-wrap=no -H ldap://" + d.ports.directory() + " -b " + demoBase + " '(mail=" + bob.Mail + ")' 'userCertificate;binary'"},
		{"Is it still good?",
			"openssl ocsp -no_nonce -url http://" + d.ports.responder() + "/ -CAfile " + quote(beta.Root.File) + " -issuer " + quote(beta.Issuing.File) + " -cert " + quote(bob.File)},
		{"A revoked one",
			"openssl ocsp -no_nonce -url http://" + d.ports.responder() + "/ -CAfile " + quote(beta.Root.File) + " -issuer " + quote(beta.Issuing.File) + " -cert " + quote(revoked.File)},
		{"The signed list, and its signature",
			"curl -sSf -o " + list + " http://" + d.ports.repository() + daemon.ListPath + " && openssl cms -verify -inform DER -in " + list + " -CAfile " + ca + " -out /dev/null"},
		{"The path from alpha's root over the bridge to Bob, under alpha's policy",
			"openssl verify -policy_check -explicit_policy -policy " + alpha.Spec.Policy + " -CAfile " + quote(alpha.Root.File) +
				" -untrusted " + quote(alpha.CrossFile()) + " -untrusted " + quote(d.crossTo(beta)) + " -untrusted " + quote(beta.Issuing.File) + " " + quote(bob.File)},
		{"The same path, from what the bridge issued, with what that points to, CRLs included",
			"curl -sSf -o " + issued + " http://" + d.ports.repository() + crosscert.IssuedByBridgePath + " && " +
				quote(bridgectl()) + " path build --anchor " + quote(alpha.Root.File) + " --leaf " + quote(bob.File) + " --certs " + issued +
				" --explicit-policy --policy " + alpha.Spec.Policy + " --fetch --allow-host 127.0.0.1"},
		{"Bob reads the mail",
			"openssl cms -decrypt -in " + quote(d.mailFile()) + " -recip " + quote(bob.File) + " -inkey " + quote(bob.KeyFile)},
		{"Who is a member", ada + " member list"},
		{"All about beta", ada + " member show beta"},
		{"The bridge examines alpha, at its own servers", ada + " member check alpha"},
		{"The same list, checked by bridgectl",
			ada + " list fetch --out " + list + " && " + quote(bridgectl()) + " list verify " + list + " --anchor " + ca},
		{"How the federation stands", ada + " status"},
		{"Who may do what here", as("dorothy") + " auth list && " + as("alfred") + " auth can-i --list"},
		{"The path again, asked of the bridge by somebody without a credential",
			quote(bridgectl()) + " path build --server-ca " + quote(d.bridge.Certificate(statedir.AdminCA)) + " --server " + d.ports.admin() +
				" --anchor " + quote(alpha.Root.File) + " --leaf " + quote(bob.File)},
		{"Stop beta: directory, responder, cross-certificate and list let go of it at once",
			ada + " member suspend beta --reason 'trying it out'"},
		{"Once it passes again, two approvers bring it back, with a new cross-certificate",
			ada + " member check beta && " + as("barbara") + " member resume beta --reason 'tried out' --yes && " +
				as("edsger") + " member resume beta --reason 'tried out' --yes"},
		{"Who did what, on which evidence", as("dorothy") + " member history beta"},
	} {
		d.printf("\n  # %s\n  %s\n", c.what, c.command)
	}
	d.printf("\nThe bridge's log is %s. Ctrl-C stops everything.\n", d.logFile())
	return nil
}

// bridgectl is the tool beside this program, or its name for the shell to find.
func bridgectl() string {
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), "bridgectl"); isFile(beside) {
			return beside
		}
	}
	if path, err := exec.LookPath("bridgectl"); err == nil {
		if path, err = filepath.Abs(path); err == nil {
			return path
		}
	}
	return "bridgectl"
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// quote makes s one word of a shell.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:=@%,", r)
	}) {
		return s
	}
	return fmt.Sprintf("'%s'", strings.ReplaceAll(s, "'", `'\''`))
}
