package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
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
	var kind string
	var persons []string
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

The URLs are written into certificates; choose names that last.`,
		Example: `  bridged init /var/lib/bridged --name "Example Bridge" \
    --level 1.3.6.1.4.1.32473.1.1 \
    --person ada=officer --person grace=officer,assessor --person olga=operator \
    --person bea=approver --person ed=approver --person sig=signer --person kit=auditor \
    --passphrase-file /etc/bridged/passphrase \
    --url http://bridge.example --responder-url http://ocsp.bridge.example`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Key = keys.Kind(kind)
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
			if o.PlainKeys && o.Keys.PassphraseFile != "" {
				return fault.New(fault.Invalid, "--plain-keys and --passphrase-file exclude each other")
			}
			o.Passphrase = func() ([]byte, error) { return newPassphrase(o.Keys.PassphraseFile) }
			if err := absolute(&o.Keys.PassphraseFile, &o.Keys.BridgeCA, &o.Keys.ListSigner, &o.Keys.OCSPSigner); err != nil {
				return err
			}
			return found(cmd.Context(), cmd.OutOrStdout(), args[0], o)
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
	f.StringVar(&kind, "key", string(keys.RSA3072), "kind of keys: rsa-3072, p-256, p-384")
	f.StringVar(&o.Keys.PassphraseFile, "passphrase-file", "", "file with the one line that the keys are encrypted with")
	f.StringVar(&o.Keys.BridgeCA, "bridge-ca-key", "", "key of the bridge CA that exists already: a file or a pkcs11: URI")
	f.StringVar(&o.Keys.ListSigner, "list-signer-key", "", "the same for the list signer")
	f.StringVar(&o.Keys.OCSPSigner, "ocsp-signer-key", "", "the same for the OCSP signer")
	f.BoolVar(&o.PlainKeys, "plain-keys", false, "store the keys unencrypted")
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

// protection says what keeps strangers from the keys.
func protection(o ceremony.Options) string {
	switch {
	case o.PlainKeys:
		return "not encrypted; whoever reads these files is the bridge"
	case o.Keys.PassphraseFile != "":
		return "all encrypted with the passphrase in " + o.Keys.PassphraseFile
	}
	return "all encrypted; give the daemon the passphrase by keys.passphrase_file\n" +
		"               or as systemd credential bridged-passphrase"
}

func found(ctx context.Context, w io.Writer, dir string, o ceremony.Options) error {
	r, err := ceremony.Found(ctx, dir, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Bridge CA      %s\n", r.BridgeCA.Subject)
	fmt.Fprintf(w, "Valid until    %s\n", r.BridgeCA.NotAfter.Format("2006-01-02"))
	fmt.Fprintf(w, "Fingerprint    %s\n", ceremony.Fingerprint(r.BridgeCA))
	for _, path := range r.Keys {
		fmt.Fprintf(w, "Key            %s\n", path)
	}
	fmt.Fprintf(w, "               %s\n", protection(o))
	for _, id := range slices.Sorted(maps.Keys(r.Persons)) {
		fmt.Fprintf(w, "Person         %s: hand over %s and delete it here\n", id, r.Persons[id])
	}
	if r.Appointers < 3 {
		fmt.Fprintf(w, "               only %d can appoint others, and it takes two: appoint a third before one is lost\n", r.Appointers)
	}
	fmt.Fprintf(w, "Configuration  %s\n", r.Config)
	_, err = fmt.Fprintf(w, "\nServe it with: bridged run --config %s\n", r.Config)
	return err
}
