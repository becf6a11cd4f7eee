package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"bridge.example/internal/ceremony"
	"bridge.example/internal/fault"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/keys"
	"bridge.example/membership"
)

func initCommand() *cobra.Command {
	var o ceremony.Options
	var persons []string
	var k keyFlags
	var rootPassphraseFile, output string
	c := &cobra.Command{
		Use:   "init DIR --name NAME --level OID --url URL --responder-url URL",
		Short: "Found a bridge: keys, store, configuration, first persons",
		Long: `Found a bridge in DIR, which must not exist or be empty: the bridge CA, the
signers of the list and of OCSP responses, the admin CA, the credentials of the
first persons, the store, and a configuration to edit.

The first persons appoint all others: at least two are officers or operators, of
whom one proposes and another confirms, and at least two are approvers. --person
names one with roles of applicant, member, officer, assessor, approver, signer,
auditor, operator; --officer is short for officer and approver, for a bridge that
few persons run. Have three who appoint: of two, none can be replaced.

The keys are stored encrypted. Their passphrase is the one line of
--passphrase-file, which the daemon will read too, or the systemd credential
bridged-passphrase, or is asked at the terminal. Persons' credentials are not
encrypted. Keys that exist already, on a PKCS #11 token for instance, are named
by --bridge-ca-key and its like.

The bridge CA signs itself, unless an offline root certifies it: with --certified
one on another machine, see "bridged ceremony --help", and with --root one in a
directory here, which is founded if it is not there, and is to be taken away
afterwards.

The URLs are written into certificates; choose names that last.`,
		Example: `  bridged init /var/lib/bridged --name "Example Bridge" \
    --level 1.3.6.1.4.1.32473.1.1 \
    --person ada=officer --person grace=officer,assessor --person olga=operator \
    --person bea=approver --person ed=approver --person sig=signer --person kit=auditor \
    --passphrase-file /etc/bridged/passphrase \
    --url http://bridge.example --responder-url http://ocsp.bridge.example`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := k.check(); err != nil {
				return err
			}
			for _, text := range persons {
				p, err := parsePerson(text)
				if err != nil {
					return err
				}
				o.Persons = append(o.Persons, p)
			}
			if len(persons) > 0 && !cmd.Flags().Changed("officer") {
				o.Officers = nil
			}
			o.Key, o.PlainKeys, o.Keys.PassphraseFile = keys.Kind(k.kind), k.plain, k.passphraseFile
			o.Passphrase = func() ([]byte, error) {
				if o.Certified != "" { // the key was made, and its passphrase chosen, before
					return passphrase(k.passphraseFile, "the bridge's keys")
				}
				return newPassphrase(k.passphraseFile, "the bridge's keys")
			}
			o.RootPassphrase = func() ([]byte, error) { return rootPassphrase(o.Root, rootPassphraseFile) }
			if err := absolute(&o.Keys.BridgeCA, &o.Keys.ListSigner, &o.Keys.OCSPSigner, &o.Keys.AuditLog); err != nil {
				return err
			}
			r, err := ceremony.Found(cmd.Context(), args[0], o)
			return report(cmd.OutOrStdout(), output, r, err)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Name, "name", "", "name of the bridge, for people (required)")
	f.StringVar(&o.Country, "country", "", "two-letter country in the bridge CA's name")
	f.StringVar(&o.Level, "level", "", "object identifier of the first assurance level (required)")
	f.StringVar(&o.LevelName, "level-name", "medium", "its name, for people")
	f.StringArrayVar(&o.Officers, "officer", []string{"officer1", "officer2"}, "a `person` who is officer and approver; repeat it, two are needed")
	f.StringArrayVar(&persons, "person", nil, "a `PERSON=ROLE[,ROLE...]`, and for applicant or member PERSON=ROLE:MEMBER; repeat it")
	f.StringVar(&o.URL, "url", "", "how the world reaches the repository (required)")
	f.StringVar(&o.ResponderURL, "responder-url", "", "how the world reaches the OCSP responder (required)")
	f.StringVar(&o.Admin, "admin", "127.0.0.1:7443", "address of the administrative interface")
	f.StringVar(&o.Directory, "directory", "127.0.0.1:7389", "address of the LDAP directory")
	f.StringVar(&o.Responder, "responder", "127.0.0.1:7800", "address of the OCSP responder")
	f.StringVar(&o.Repository, "repository", "127.0.0.1:7080", "address of the HTTP repository")
	f.StringVar(&o.Suffix, "suffix", "o=bridge", "root of the directory tree")
	f.StringArrayVar(&o.Allow, "allow", nil, "non-public address range of members that may be connected to; repeat it")
	f.StringVar(&o.Keys.BridgeCA, "bridge-ca-key", "", "key of the bridge CA that exists already: a file or a pkcs11: URI")
	f.StringVar(&o.Keys.ListSigner, "list-signer-key", "", "the same for the list signer")
	f.StringVar(&o.Keys.OCSPSigner, "ocsp-signer-key", "", "the same for the OCSP signer")
	f.StringVar(&o.Keys.AuditLog, "audit-log-key", "", "the same for the audit log; Ed25519 or P-256")
	f.StringVar(&o.Certified, "certified", "", "directory with what an offline root gave back for the request made in DIR")
	f.StringVar(&o.Root, "root", "", "directory of an offline root here, which certifies the bridge CA")
	f.StringVar(&rootPassphraseFile, "root-passphrase-file", "", "file with the root's passphrase, which must be another")
	k.add(c)
	outputFlag(c, &output)
	return c
}

// parsePerson reads PERSON=ROLE[,ROLE...][:MEMBER].
func parsePerson(s string) (p people.Person, err error) {
	id, rest, ok := strings.Cut(s, "=")
	roles, member, _ := strings.Cut(rest, ":")
	if !ok || roles == "" {
		return p, fault.New(fault.Invalid, "--person %q: want PERSON=ROLE[,ROLE...][:MEMBER], such as ada=officer", s)
	}
	if p.ID, err = people.ParseID(id); err != nil {
		return p, err
	}
	for _, name := range strings.Split(roles, ",") {
		r, err := membership.ParseRole(name)
		if err != nil {
			return p, fault.New(fault.Invalid, "--person %q: %w", s, err)
		}
		p.Roles = append(p.Roles, r)
	}
	p.Member = membership.ID(member)
	return p, nil
}

// absolute makes paths absolute: the configuration that will hold them lies
// elsewhere than where this is called.
func absolute(paths ...*string) (err error) {
	for _, p := range paths {
		if *p == "" || strings.HasPrefix(*p, "pkcs11:") {
			continue
		}
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	return nil
}
