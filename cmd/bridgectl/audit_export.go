package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

func (t *tool) auditCheckpoint() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "checkpoint", Short: "Fetch the signed checkpoint of the audit log", Args: cobra.NoArgs,
		Long: `Fetches the signed checkpoint of the audit log as it stands. Keep it where the
bridge's operators cannot change it: with "bridgectl audit verify
--since-checkpoint" it shows later that nothing before it was changed or taken
away.

JSON: checkpoint (text), fingerprint (SHA-256 of the key's
SubjectPublicKeyInfo), and file.`,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.checkpoint(ctx, out) }),
	}
	c.Flags().StringVarP(&out, "out", "o", "", "`file` to write the checkpoint to")
	return c
}

func (t *tool) checkpoint(ctx context.Context, out string) error {
	return t.ask(func(client proto.BridgeClient) error {
		p, err := client.GetAuditCheckpoint(ctx, &proto.GetAuditCheckpointRequest{})
		if err != nil {
			return err
		}
		key, err := x509.ParsePKIXPublicKey(p.PublicKey)
		if err != nil {
			return fault.New(fault.Internal, "the daemon sent what is no key: %w", err)
		}
		v := struct {
			Checkpoint  string `json:"checkpoint"`
			Fingerprint string `json:"fingerprint"`
			File        string `json:"file,omitempty"`
		}{string(p.Checkpoint), "", out}
		if v.Fingerprint, err = auditlog.Fingerprint(key); err != nil {
			return err
		}
		if out == "" && t.output == "text" {
			t.note("fingerprint of the key: %s", v.Fingerprint)
			_, err := t.out.Write(p.Checkpoint)
			return err
		}
		var r rows
		if out != "" {
			if err := writeFile(out, p.Checkpoint); err != nil {
				return err
			}
			r.add("file", out)
		}
		r.add("fingerprint", v.Fingerprint)
		return t.emit(v, nil, r)
	})
}

func (t *tool) auditExport() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "export --out FILE", Short: "Write the audit log as one file that proves itself", Args: cobra.NoArgs,
		Long: `Writes the audit log as it stands to one file, which anybody can verify with
"bridgectl audit verify" and the fingerprint of the bridge's audit key, without
asking the bridge. docs/audit-log.md describes the file.

JSON: file, events, bytes.`,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.exportAudit(ctx, out) }),
	}
	c.Flags().StringVarP(&out, "out", "o", "", "`file` to write")
	must(c.MarkFlagRequired("out"))
	return c
}

func (t *tool) exportAudit(ctx context.Context, out string) error {
	return t.ask(func(client proto.BridgeClient) error {
		f, err := os.CreateTemp(filepath.Dir(out), filepath.Base(out)+".*")
		if err != nil {
			return fileFault(err)
		}
		defer os.Remove(f.Name()) // gone already when all went well
		v := struct {
			File   string `json:"file"`
			Events uint64 `json:"events"`
			Bytes  int64  `json:"bytes"`
		}{File: out}
		v.Events, v.Bytes, err = copyAudit(ctx, client, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if err := os.Rename(f.Name(), out); err != nil {
			return fileFault(err)
		}
		var r rows
		r.add("file", v.File)
		r.add("events", fmt.Sprint(v.Events))
		r.add("bytes", fmt.Sprint(v.Bytes))
		return t.emit(v, nil, r)
	})
}

// copyAudit writes the parts of an export as they come.
func copyAudit(ctx context.Context, client proto.BridgeClient, w io.Writer) (events uint64, written int64, err error) {
	r := &proto.ExportAuditRequest{}
	for {
		part, err := client.ExportAudit(ctx, r)
		if err != nil {
			return 0, 0, err
		}
		n, err := w.Write(part.Part)
		if written += int64(n); err != nil {
			return 0, 0, fileFault(err)
		}
		if part.Next <= r.From {
			return part.Size, written, nil
		}
		r.Size, r.From = part.Size, part.Next
	}
}

func (t *tool) auditVerify() *cobra.Command {
	var o auditVerification
	c := &cobra.Command{
		Use: "verify [FILE]", Short: "Check an export of the audit log, offline", Args: cobra.MaximumNArgs(1),
		Long: `Checks an export of the audit log without asking anybody: every event, their
order and number, against the checkpoint that the bridge signed. Without FILE the
log is fetched from the daemon. The first event that does not fit is named, with
its place in the file. Exits 7 when it does not hold.

The key must come from elsewhere than the file: "bridged init" showed its
fingerprint.

JSON: valid and, if not, problem, and event and offset of the line; if so,
events, root (of the tree, base64), first and last (instants).`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.verifyAudit(ctx, args, o) }),
	}
	f := c.Flags()
	f.StringVar(&o.fingerprint, "fingerprint", "", "SHA-256 of the audit key, in `hex`")
	f.StringVar(&o.key, "key", "", "`file` with the public audit key, PEM or DER, instead")
	f.StringVar(&o.since, "since-checkpoint", "", "`file` with a checkpoint fetched earlier, which the log must still contain")
	c.MarkFlagsOneRequired("fingerprint", "key")
	c.MarkFlagsMutuallyExclusive("fingerprint", "key")
	return c
}

// auditVerification is what "audit verify" is told.
type auditVerification struct{ fingerprint, key, since string }

// checkedAudit is the result of a check.
type checkedAudit struct {
	Valid   bool   `json:"valid"`
	Problem string `json:"problem,omitempty"`
	Event   uint64 `json:"event,omitempty"`
	Offset  *int64 `json:"offset,omitempty"`

	Events uint64    `json:"events,omitempty"`
	Root   string    `json:"root,omitempty"`
	First  time.Time `json:"first,omitzero"`
	Last   time.Time `json:"last,omitzero"`
}

func (t *tool) verifyAudit(ctx context.Context, args []string, o auditVerification) error {
	want, err := o.expectation()
	if err != nil {
		return err
	}
	name := "the daemon's audit log"
	var report auditlog.Report
	if len(args) == 0 {
		report, err = t.verifyDaemon(ctx, want)
	} else {
		name = args[0]
		f, openErr := os.Open(name)
		if openErr != nil {
			return fileFault(openErr)
		}
		defer f.Close()
		report, err = auditlog.VerifyExport(f, want)
	}
	if err != nil && fault.KindOf(err) != fault.Invalid {
		return err
	}
	if err != nil {
		why := no{fmt.Errorf("%s: %w", name, err)}
		v := checkedAudit{Problem: why.Error()}
		if m, ok := errors.AsType[*auditlog.Misfit](err); ok {
			v.Event, v.Offset = m.Event, &m.Offset
		}
		if t.output == "json" {
			if err := t.emit(v, nil, nil); err != nil {
				return err
			}
		}
		return why
	}
	v := checkedAudit{Valid: true, Events: report.Checkpoint.Size, Root: report.Checkpoint.Root.String(), First: report.First, Last: report.Last}
	var r rows
	r.add("events", fmt.Sprint(v.Events))
	r.add("root", v.Root)
	r.add("first", stamp(v.First))
	r.add("last", stamp(v.Last))
	return t.emit(v, nil, r)
}

// verifyDaemon verifies the log while it is fetched.
func (t *tool) verifyDaemon(ctx context.Context, want auditlog.Expectation) (report auditlog.Report, err error) {
	err = t.ask(func(client proto.BridgeClient) error {
		r, w := io.Pipe()
		defer r.Close() // ends the copying when the verification ends first
		go func() {
			_, _, err := copyAudit(ctx, client, w)
			w.CloseWithError(err)
		}()
		report, err = auditlog.VerifyExport(r, want)
		return err
	})
	return report, err
}

func (o auditVerification) expectation() (want auditlog.Expectation, err error) {
	want.Fingerprint = strings.ToLower(strings.ReplaceAll(o.fingerprint, ":", ""))
	if o.key != "" {
		if want.Fingerprint, err = readFingerprint(o.key); err != nil {
			return want, err
		}
	}
	if b, err := hex.DecodeString(want.Fingerprint); err != nil || len(b) != 32 {
		return want, fault.New(fault.Invalid, "--fingerprint: want a SHA-256 in hex")
	}
	if o.since != "" {
		want.Since, err = readFile(o.since, maxCertificateBytes)
	}
	return want, err
}

func readFingerprint(path string) (string, error) {
	b, err := readFile(path, maxCertificateBytes)
	if err != nil {
		return "", err
	}
	if block, rest := pem.Decode(b); block != nil && len(bytes.TrimSpace(rest)) == 0 {
		b = block.Bytes
	}
	key, err := x509.ParsePKIXPublicKey(b)
	if err != nil {
		return "", fault.New(fault.Invalid, "%s: not a public key: %w", path, err)
	}
	return auditlog.Fingerprint(key)
}
