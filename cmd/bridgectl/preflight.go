package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bridge.example/api/convert"
	"bridge.example/internal/checkup"
	"bridge.example/internal/fault"
	"bridge.example/internal/outbound"
)

// preflight is what the flags of the command say.
type preflight struct {
	file, passwords string
	resolver        string
	allow           []string
	failuresOnly    bool
}

func (t *tool) preflightCommand() *cobra.Command {
	var p preflight
	c := &cobra.Command{
		Use: "preflight -f FILE", Short: "Examine an application as the bridge will, before it is sent", Args: cobra.NoArgs,
		Long: `Examines the organisation in FILE, in the form that "bridgectl member template"
prints, with the checks that the bridge makes: certificates, directories, CRLs,
OCSP responders, proofs of mail domains. No daemon is needed and nothing is
recorded; the application's own servers are asked. What only the bridge can know
is skipped. docs/checks.md describes each check.

Only public addresses are reached; --allow adds ranges, for test systems.
Passwords of directories are read from files named after their credentials in
the directory --passwords names; without it those directories are asked nothing.
--resolver asks another DNS server than the system's, such as the one that the
world outside sees.

Text: failures first, then warnings, then the rest: one line per finding, with
verdict (fail, warn, skipped, ok), check, what was looked at, title, evidence,
fix. On a terminal each is a paragraph.

JSON: member, at, passed, sha256 (of the report), findings [{id, title, source,
must, verdict, subject, evidence, fix, took_ns}].

Exit code 7 when a check failed that must hold, 2 when FILE cannot be read.`,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.preflight(ctx, p) }),
	}
	f := c.Flags()
	f.StringVarP(&p.file, "file", "f", "", "`file` with the application")
	f.StringSliceVar(&p.allow, "allow", nil, "`range` of addresses that may be reached although it is not public, such as 10.0.0.0/8; may be repeated")
	f.StringVar(&p.passwords, "passwords", "", "`directory` with the passwords of directories")
	f.StringVar(&p.resolver, "resolver", "", "`host:port` of a DNS server to ask instead of the system's")
	f.BoolVar(&p.failuresOnly, "failures-only", false, "show only what failed or is warned of")
	must(c.MarkFlagRequired("file"))
	must(c.MarkFlagFilename("file", "yaml", "yml"))
	must(c.MarkFlagDirname("passwords"))
	return c
}

// maxPasswordBytes bounds the file with a directory's password.
const maxPasswordBytes = 1 << 10

func (t *tool) preflight(ctx context.Context, p preflight) error {
	a, err := readApplication(p.file)
	if err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	var policy outbound.Policy
	for _, s := range p.allow {
		r, err := netip.ParsePrefix(s)
		if err != nil {
			return fault.New(fault.Invalid, "--allow: %q is not a range of addresses such as 10.0.0.0/8", s)
		}
		policy.Allow = append(policy.Allow, r)
	}
	reach := checkup.Reach{Dial: outbound.Dial(policy), Client: outbound.Client(policy)}
	if p.passwords != "" {
		// The name is one that membership takes for a file name.
		reach.Password = func(credential string) ([]byte, error) {
			b, err := readFile(filepath.Join(p.passwords, credential), maxPasswordBytes)
			return []byte(strings.TrimRight(string(b), "\r\n")), err
		}
	}
	if p.resolver != "" {
		reach.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.resolver)
		}}
	}
	if t.errTerminal {
		reach.Progress = func(f checkup.Finding, done, total int) {
			fmt.Fprintf(t.err, "\r\x1b[K%d of %d checks, %s", done, total, f.ID)
		}
	}
	report, err := checkup.Examine(ctx, checkup.Subject{Application: convert.ToApplication(a)}, reach)
	if t.errTerminal {
		fmt.Fprint(t.err, "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	if err := t.emitReport(report, p.failuresOnly); err != nil {
		return err
	}
	if !report.Passed() {
		return withHint(no{errors.New("a check failed that must hold")}, "mend what is named, and run this again: the bridge makes the same checks")
	}
	return nil
}

// emitReport writes findings, the worst first.
func (t *tool) emitReport(r checkup.Report, failuresOnly bool) error {
	out := struct {
		checkup.Report
		Passed bool   `json:"passed"`
		SHA256 string `json:"sha256"`
	}{r, r.Passed(), r.Hash()}
	out.Findings = slices.Clone(r.Findings)
	if failuresOnly {
		out.Findings = slices.DeleteFunc(out.Findings, func(f checkup.Finding) bool { return f.Verdict == checkup.OK || f.Verdict == checkup.Skipped })
	}
	worst := []checkup.Verdict{checkup.Fail, checkup.Warn, checkup.Skipped, checkup.OK}
	slices.SortStableFunc(out.Findings, func(a, b checkup.Finding) int {
		return cmp.Compare(slices.Index(worst, a.Verdict), slices.Index(worst, b.Verdict))
	})
	if t.output == "text" && t.outTerminal {
		t.emitted = true
		for _, f := range out.Findings {
			if _, err := fmt.Fprint(t.out, paragraph(f)); err != nil {
				return err
			}
		}
		return nil
	}
	var rows [][]string
	for _, f := range out.Findings {
		rows = append(rows, []string{string(f.Verdict), f.ID, f.Subject, f.Title, strings.Join(f.Evidence, "; "), f.Fix})
	}
	return t.emit(out, nil, rows)
}

// paragraph is a finding for a person; what is in order takes one line.
func paragraph(f checkup.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s%-4s %s", strings.ToUpper(string(f.Verdict)), f.ID, f.Title)
	if f.Subject != "" {
		fmt.Fprintf(&b, ": %s", harmless(f.Subject))
	}
	b.WriteByte('\n')
	if f.Verdict == checkup.OK {
		return b.String()
	}
	for _, e := range f.Evidence {
		fmt.Fprintf(&b, "             %s\n", harmless(e))
	}
	if f.Fix != "" {
		fmt.Fprintf(&b, "             fix: %s (%s)\n", harmless(f.Fix), f.Source)
	}
	return b.String()
}
