package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/crosscert"
	"bridge.example/internal/ceremony"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

func ceremonyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ceremony",
		Short: "Keep the root of a bridge on a machine without a network",
		Long: `Keep the root of a bridge on a machine without a network.

The root certifies the CA that works online, and revokes it if need be. Its key
never leaves its directory, which belongs on a medium in a safe. Files go back
and forth: "request" on the bridge's machine makes a request; "certify" on the
root's answers it; "init --certified" on the bridge's goes on from there. Every
month "crl" on the root's machine makes a CRL, and "import" on the bridge's puts
it in place.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(ceremonyRoot(), ceremonyRequest(), ceremonyCertify(), ceremonyCRL(), ceremonyRevoke(), ceremonyImport())
	return c
}

// keyFlags are the flags of commands that make keys.
type keyFlags struct {
	kind, passphraseFile string
	plain                bool
}

func (k *keyFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&k.kind, "key", string(keys.RSA3072), "kind of keys: rsa-3072, p-256, p-384")
	f.StringVar(&k.passphraseFile, "passphrase-file", "", "file with the one line that the keys are encrypted with")
	f.BoolVar(&k.plain, "plain-keys", false, "store the keys unencrypted")
}

func (k *keyFlags) check() error {
	if k.plain && k.passphraseFile != "" {
		return fault.New(fault.Invalid, "--plain-keys and --passphrase-file exclude each other")
	}
	return absolute(&k.passphraseFile)
}

func ceremonyRoot() *cobra.Command {
	var o ceremony.RootOptions
	var k keyFlags
	var output string
	c := &cobra.Command{
		Use:   "root ROOT --name NAME --url URL",
		Short: "On the root's machine: found the root",
		Long: `Found an offline root in the directory ROOT, which must not exist or be empty:
its key, its certificate for ten years, its ledger and its first CRL.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := k.check(); err != nil {
				return err
			}
			if err := absolute(&o.Key); err != nil {
				return err
			}
			o.Kind, o.PlainKeys = keys.Kind(k.kind), k.plain
			o.Passphrase = func() ([]byte, error) { return newPassphrase(k.passphraseFile, "the root's key") }
			r, err := ceremony.FoundRoot(cmd.Context(), args[0], o)
			return report(cmd.OutOrStdout(), output, r, err)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Name, "name", "", "name of the bridge, for people (required)")
	f.StringVar(&o.Country, "country", "", "two-letter country in the root's name")
	f.StringVar(&o.URL, "url", "", "how the world will reach the bridge's repository, which has the root's CRL (required)")
	f.StringVar(&o.Key, "root-key", "", "key of the root that exists already: a file or a pkcs11: URI")
	f.IntVar(&o.CRLDays, "crl-days", 35, "days that a CRL of the root is good for, at most 366")
	k.add(c)
	outputFlag(c, &output)
	return c
}

func ceremonyRequest() *cobra.Command {
	var o ceremony.RequestOptions
	var k keyFlags
	var output string
	c := &cobra.Command{
		Use:   "request DIR --name NAME",
		Short: "On the bridge's machine: make the bridge CA's key, and a request for the root",
		Long: `Begin the state directory DIR, which must not exist or be empty, with the key of
the bridge CA, and write the request that the root certifies: DIR/request.pem.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := k.check(); err != nil {
				return err
			}
			if err := absolute(&o.Key); err != nil {
				return err
			}
			o.Kind, o.PlainKeys = keys.Kind(k.kind), k.plain
			o.Passphrase = func() ([]byte, error) { return newPassphrase(k.passphraseFile, "the bridge's keys") }
			r, err := ceremony.Request(args[0], o)
			return report(cmd.OutOrStdout(), output, r, err)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Name, "name", "", "name of the bridge, for people (required)")
	f.StringVar(&o.Country, "country", "", "two-letter country in the bridge CA's name")
	f.StringVar(&o.Key, "bridge-ca-key", "", "key of the bridge CA that exists already: a file or a pkcs11: URI")
	k.add(c)
	outputFlag(c, &output)
	return c
}

// withRoot does something with the root in dir, on the root's machine.
func withRoot(ctx context.Context, dir, passphraseFile string, do func(*ceremony.Root) error) error {
	r, err := ceremony.OpenRoot(ctx, dir, func() ([]byte, error) { return passphrase(passphraseFile, "the root's key") }, time.Now)
	if err != nil {
		return err
	}
	err = do(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return err
}

func rootPassphraseFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "passphrase-file", "", "file with the root's passphrase; asked at the terminal when absent")
}

func ceremonyCertify() *cobra.Command {
	var request, fingerprint, out, file string
	var levels []string
	c := &cobra.Command{
		Use:   "certify ROOT --request FILE --fingerprint HEX --level OID --out DIR",
		Short: "On the root's machine: certify the bridge CA that asks",
		Long: `Certify the bridge CA that asks by a request, and write what goes back to it into
a directory: the certificates of both, and the root's CRL.

The fingerprint is that of the key in the request, as "request" printed it, read
aloud by somebody at the bridge's machine: a file can be exchanged on its way. A
second time the same certificate comes out.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := ceremony.ReadRequest(request)
			if err != nil {
				return err
			}
			// What it is instead is not said: nobody shall copy it from here.
			if !sameHex(ceremony.KeyFingerprint(q.RawSubjectPublicKeyInfo), fingerprint) {
				return fault.New(fault.Denied, "--fingerprint: %s is not the request whose fingerprint was read aloud", request)
			}
			var policies []x509.OID
			for _, l := range levels {
				oid, err := x509.ParseOID(l)
				if err != nil {
					return fault.New(fault.Invalid, "--level: %q is not an object identifier", l)
				}
				policies = append(policies, oid)
			}
			return withRoot(cmd.Context(), args[0], file, func(r *ceremony.Root) error {
				ca, err := r.Certify(cmd.Context(), q, policies)
				if err != nil {
					return err
				}
				if err := r.Export(cmd.Context(), out, ca); err != nil {
					return err
				}
				return certifiedReport(cmd.Context(), cmd.OutOrStdout(), r, ca, out)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&request, "request", "", "file with the request (required)")
	f.StringVar(&fingerprint, "fingerprint", "", "SHA-256 of the key in it, as read aloud (required)")
	f.StringArrayVar(&levels, "level", nil, "object identifier of an assurance level of the bridge; repeat it (required)")
	f.StringVar(&out, "out", "", "directory for what goes back (required)")
	rootPassphraseFlag(c, &file)
	required(c, "request", "fingerprint", "level", "out")
	return c
}

func certifiedReport(ctx context.Context, w io.Writer, r *ceremony.Root, ca *x509.Certificate, out string) error {
	fmt.Fprintf(w, "Bridge CA      %s\n", ca.Subject)
	fmt.Fprintf(w, "Valid until    %s\n", ca.NotAfter.Format(time.DateOnly))
	fmt.Fprintf(w, "Fingerprint    %s\n", ceremony.Fingerprint(ca))
	fmt.Fprintf(w, "Root           %s\n", r.Certificate.Subject)
	fmt.Fprintf(w, "Fingerprint    %s\n", ceremony.Fingerprint(r.Certificate))
	live, err := r.Live(ctx)
	if err != nil {
		return err
	}
	for _, c := range live {
		if !c.Equal(ca) {
			fmt.Fprintf(w, "Also in force  %s, serial %x; revoke it if it is not in use\n", c.Subject, c.SerialNumber)
		}
	}
	_, err = fmt.Fprintf(w, "\nCarry %s to the bridge's machine; there: bridged init DIR --certified %s …\n", out, out)
	return err
}

func ceremonyCRL() *cobra.Command {
	var out, file string
	c := &cobra.Command{
		Use:   "crl ROOT --out FILE",
		Short: "On the root's machine: make a CRL",
		Long: `Make a CRL of the root, unless the last is of today, and write it to a file in
DER. Do it every month: when the CRL in use runs out, the bridge signs nothing
new.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRoot(cmd.Context(), args[0], file, func(r *ceremony.Root) error { return writeCRL(cmd, r, out) })
		},
	}
	c.Flags().StringVar(&out, "out", "", "file for the CRL (required)")
	rootPassphraseFlag(c, &file)
	required(c, "out")
	return c
}

func writeCRL(cmd *cobra.Command, r *ceremony.Root, out string) error {
	l, err := r.CRL(cmd.Context())
	if err != nil {
		return err
	}
	if err := statedir.Replace(out, l.Raw, 0o644); err != nil {
		return err
	}
	return printCRL(cmd.OutOrStdout(), l, out)
}

func printCRL(w io.Writer, l *x509.RevocationList, file string) error {
	_, err := fmt.Fprintf(w, "CRL            %s\nNumber         %v\nRevoked        %d\nNext update    %s\n",
		file, l.Number, len(l.RevokedCertificateEntries), l.NextUpdate.Format(time.RFC3339))
	return err
}

func ceremonyRevoke() *cobra.Command {
	var certificate, reason, out, file string
	c := &cobra.Command{
		Use:   "revoke ROOT --certificate FILE --reason REASON --out FILE",
		Short: "On the root's machine: revoke a bridge CA",
		Long: `Revoke the certificate of a bridge CA for ever, and write the CRL that says so.
Reasons: keyCompromise, cACompromise, affiliationChanged, superseded,
cessationOfOperation, privilegeWithdrawn.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			why, err := crosscert.ParseReason(reason)
			if err != nil {
				return err
			}
			ca, err := statedir.ReadCertificateFile(certificate)
			if err != nil {
				return err
			}
			return withRoot(cmd.Context(), args[0], file, func(r *ceremony.Root) error {
				if err := ca.CheckSignatureFrom(r.Certificate); err != nil {
					return fault.New(fault.Invalid, "--certificate: this root did not issue it")
				}
				if err := r.Revoke(cmd.Context(), ca.SerialNumber, why); err != nil {
					return err
				}
				return writeCRL(cmd, r, out)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&certificate, "certificate", "", "file with the certificate (required)")
	f.StringVar(&reason, "reason", "", "why (required)")
	f.StringVar(&out, "out", "", "file for the CRL (required)")
	rootPassphraseFlag(c, &file)
	required(c, "certificate", "reason", "out")
	return c
}

func ceremonyImport() *cobra.Command {
	return &cobra.Command{
		Use:   "import DIR FROM",
		Short: "On the bridge's machine: put what came from the root in place",
		Long: `Check that a CRL is the root's, in force, and no older than the one in use, and
put it into the state directory DIR. A running bridge publishes it with its next
reconciliation.

FROM is the file of a CRL, or a directory that "certify" wrote, for the request
that DIR has: then the bridge CA's new certificate is put in place too, which a
bridge takes at its next start.`,
		Args: arguments(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if info, err := os.Stat(args[1]); err == nil && info.IsDir() {
				ca, err := ceremony.ImportCertified(args[0], args[1], time.Now())
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Bridge CA      %s\nValid until    %s\nFingerprint    %s\n",
					ca.Subject, ca.NotAfter.Format(time.DateOnly), ceremony.Fingerprint(ca))
				return err
			}
			l, err := ceremony.ImportCRL(args[0], args[1], time.Now())
			if err != nil {
				return err
			}
			return printCRL(cmd.OutOrStdout(), l, statedir.Dir(args[0]).RootCRL())
		},
	}
}

// sameHex compares hex as people write it.
func sameHex(a, b string) bool {
	plain := strings.NewReplacer(":", "", " ", "").Replace
	return strings.EqualFold(plain(a), plain(b))
}

// required makes c refuse to run without these flags.
func required(c *cobra.Command, flags ...string) {
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		for _, f := range flags {
			if !c.Flags().Changed(f) {
				return fault.New(fault.Invalid, "--%s: missing; see %q", f, c.CommandPath()+" --help")
			}
		}
		return nil
	}
}
