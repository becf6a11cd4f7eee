package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
)

func (t *tool) crosscertCommand() *cobra.Command {
	return t.noun("crosscert", "Certificates between the bridge and its members", t.crosscertAccept(), t.crosscertPreview(), t.crosscertRequest(), t.crosscertWithdraw())
}

// inboundRequest is what a member needs to certify the bridge CA; its JSON is
// documented in the help of "crosscert request".
type inboundRequest struct {
	Member             string         `json:"member"`
	Issuers            []string       `json:"issuers"`
	Compatible         bool           `json:"compatible"`
	Fields             []profileField `json:"fields"`
	BridgeCA           []byte         `json:"bridge_ca"`
	CertificateRequest []byte         `json:"certificate_request"`
}

type profileField struct {
	Name     string `json:"name"`
	Critical bool   `json:"critical"`
	Value    string `json:"value"`
	Why      string `json:"why"`
}

// The files of a request.
const (
	bridgeCAFile    = "bridge-ca.pem"
	requestFile     = "bridge-ca.csr"
	profileFile     = "profile.cnf"
	profileJSONFile = "profile.json"
)

func (t *tool) crosscertRequest() *cobra.Command {
	var dir string
	var compatible bool
	c := &cobra.Command{
		Use: "request MEMBER", Short: "Get what a member needs to certify the bridge CA", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Shows the extensions that the certificate must have which a CA of MEMBER issues
to the bridge CA, in the notation of OpenSSL. Columns: name, criticality, value,
reason.

With --out they are written to a directory for the member's CA operator, with
` + bridgeCAFile + ` (whose name, key and key identifier are taken over byte by byte),
` + requestFile + ` (a PKCS #10 request over the same, signed by the bridge CA),
` + profileFile + ` (the extensions, to read and for "openssl x509 -extfile") and
` + profileJSONFile + `. The certificate that comes back goes to "bridgectl crosscert
accept".

GnuTLS and gpgsm refuse critical limits (policyConstraints, inhibitAnyPolicy,
nameConstraints). When the member's record says "cross_profile: compatible", or
with --compatible, the limits are asked for non-critical: those two accept the
certificate, and the member's own people lose every limit that their verifier
does not know, gpgsm's users all of them. "crosscert accept" takes such a
certificate only once the record says so.

JSON: member, issuers (names of the member's CAs, one of which must sign),
compatible, fields [{name, critical, value, why}], bridge_ca and certificate_request (DER,
base64).`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.requestInbound(ctx, args[0], dir, compatible) }),
	}
	c.Flags().StringVar(&dir, "out", "", "`directory` to write the files to; it is made when missing")
	c.Flags().BoolVar(&compatible, "compatible", false, "ask for non-critical limits, which GnuTLS and gpgsm accept and gpgsm passes over")
	must(c.MarkFlagDirname("out"))
	return c
}

func (t *tool) requestInbound(ctx context.Context, id, dir string, compatible bool) error {
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.RequestCrossCertificate(ctx, &proto.RequestCrossCertificateRequest{Id: id, Compatible: compatible})
		if err != nil {
			return err
		}
		q := inboundRequest{
			Member: id, Issuers: each(r.GetIssuers(), same), Compatible: r.GetCompatible(), BridgeCA: r.GetBridgeCa(), CertificateRequest: r.GetCertificateRequest(),
			Fields: each(r.GetFields(), func(f *proto.ProfileField) profileField {
				return profileField{f.GetName(), f.GetCritical(), f.GetValue(), f.GetWhy()}
			}),
		}
		if dir != "" {
			if err := t.writeInbound(dir, q); err != nil {
				return err
			}
		}
		if q.Compatible {
			t.note("the limits are non-critical: verifiers that do not know them pass over them")
		}
		var rows [][]string
		for _, f := range q.Fields {
			rows = append(rows, []string{f.Name, f.criticality(), f.Value, f.Why})
		}
		return t.emit(q, []string{"NAME", "CRITICALITY", "VALUE", "WHY"}, rows)
	})
}

func (f profileField) criticality() string {
	if f.Critical {
		return "critical"
	}
	return "non-critical"
}

func (t *tool) writeInbound(dir string, q inboundRequest) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fileFault(err)
	}
	asJSON, err := encodeJSON(q)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		body []byte
	}{
		{bridgeCAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: q.BridgeCA})},
		{requestFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: q.CertificateRequest})},
		{profileFile, []byte(q.config())},
		{profileJSONFile, []byte(asJSON)},
	} {
		if err := writeFile(filepath.Join(dir, f.name), f.body); err != nil {
			return err
		}
	}
	t.note("written to %s: %s, %s, %s, %s", dir, bridgeCAFile, requestFile, profileFile, profileJSONFile)
	return nil
}

// config is the profile as a section of an OpenSSL configuration.
func (q inboundRequest) config() string {
	var b strings.Builder
	// No line may come from elsewhere: who signs trusts what stands here.
	line := func(format string, args ...any) { b.WriteString(harmless(fmt.Sprintf(format, args...)) + "\n") }
	line("# What the certificate must be that a CA of %s issues to the bridge CA.", q.Member)
	line("# Its subject, key and key identifier are those of %s, byte for byte; it", bridgeCAFile)
	line("# is valid for at most five years, and one of these signs it:")
	for _, i := range q.Issuers {
		line("#   %s", i)
	}
	line("#")
	line("# With OpenSSL:")
	line("#   openssl x509 -req -in %s -CA root.pem -CAkey root.key -days 1095 -sha256 \\", requestFile)
	line("#     -extfile %s -extensions bridge -out bridge-by-%s.pem", profileFile, q.Member)
	line("")
	line("[bridge]")
	for _, f := range q.Fields {
		critical := ""
		if f.Critical {
			critical = "critical,"
		}
		line("# %s", f.Why)
		line("%s = %s%s", f.Name, critical, f.Value)
	}
	return b.String()
}

func (t *tool) crosscertAccept() *cobra.Command {
	var trial bool
	c := &cobra.Command{
		Use: "accept MEMBER FILE", Short: "Check a member's certificate for the bridge CA, and publish it", Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(c *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return t.memberIDs(c, args, prefix)
		},
		Long: `Checks the certificate in FILE (PEM or DER), which a CA of MEMBER issued to the
bridge CA, field by field. When no "must" is broken it is recorded, with the
officer who accepted it, and published while the member is active. A broken
"should" is for the member to know: what it leaves open is its own risk.

One officer is enough and no approval is lost, since the certificate opens the
bridge to the member's own people and gives the member nothing.

Columns: must or should, field, problem, source. Exit code 7 when a "must" is
broken.

JSON: accepted, findings [{rule, source, problem, should}].`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.acceptInbound(ctx, args[0], args[1], trial) }),
	}
	c.Flags().BoolVar(&trial, "trial", false, "check, and record nothing")
	return c
}

type finding struct {
	Rule    string `json:"rule"`
	Source  string `json:"source"`
	Problem string `json:"problem"`
	Should  bool   `json:"should"`
}

func (t *tool) acceptInbound(ctx context.Context, id, file string, trial bool) error {
	cert, err := readCertificate(file)
	if err != nil {
		return err
	}
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.AcceptCrossCertificate(ctx, &proto.AcceptCrossCertificateRequest{Id: id, Certificate: cert.Raw, Trial: trial})
		if err != nil {
			return err
		}
		out := struct {
			Accepted bool      `json:"accepted"`
			Findings []finding `json:"findings"`
		}{r.GetAccepted(), each(r.GetFindings(), func(f *proto.Finding) finding {
			return finding{f.GetRule(), f.GetSource(), f.GetProblem(), f.GetShould()}
		})}
		var rows [][]string
		broken := false
		for _, f := range out.Findings {
			level := "should"
			if !f.Should {
				level, broken = "must", true
			}
			rows = append(rows, []string{level, f.Rule, f.Problem, f.Source})
		}
		if err := t.emit(out, []string{"LEVEL", "FIELD", "PROBLEM", "SOURCE"}, rows); err != nil {
			return err
		}
		switch {
		case broken:
			return no{errors.New("the certificate may not be published")}
		case out.Accepted:
			t.note("accepted; published while %s is active", id)
		case trial:
			t.note("it would be accepted; nothing was recorded")
		}
		return nil
	})
}

func (t *tool) crosscertWithdraw() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "withdraw MEMBER SERIAL|FINGERPRINT --reason WHY", Short: "Take back a member's certificate for the bridge CA", Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(c *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return t.memberIDs(c, args, prefix)
		},
		Long: `Takes back, for good, a certificate that a CA of MEMBER issued to the bridge CA,
accepted or declared in the application: when the command returns it is no
longer published, and no path is built over it. The record keeps it, with who
withdrew it, when and why. The same certificate is not accepted again.

It is named by its serial or its SHA-256 fingerprint, in hex; "member show" prints
the latter. One officer is enough. Copies that others have stay valid until the
member's CA revokes the certificate. An expired one leaves publication by itself.

` + memberJSON,
		RunE: t.run(func(ctx context.Context, args []string) error {
			return t.withdrawInbound(ctx, args[0], args[1], reason)
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "`why`, for the register")
	must(c.MarkFlagRequired("reason"))
	return c
}

func (t *tool) withdrawInbound(ctx context.Context, id, name, reason string) error {
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.WithdrawCrossCertificate(ctx, &proto.WithdrawCrossCertificateRequest{Id: id, Certificate: name, Reason: reason})
		if err != nil {
			return err
		}
		return t.emitStep(ctx, client, r.GetMember())
	})
}
