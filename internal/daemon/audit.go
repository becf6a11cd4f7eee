package daemon

import (
	"context"
	"crypto"
	"strings"
	"time"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
	"bridge.example/membership"
)

// openAuditKey opens the key of the audit log. It is nil for a bridge that was
// founded before there was one.
func openAuditKey(c *config.Config, passphrase []byte) (crypto.Signer, error) {
	locator := c.Keys.AuditLog
	if locator == "" {
		locator = statedir.Dir(c.State).Key(statedir.AuditLog)
	}
	key, err := keys.Open(locator, passphrase)
	if c.Keys.AuditLog == "" && err != nil && fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return key, err
}

// openAudit opens the audit log, and records that the bridge starts. A key is
// made only for a log that nobody signed yet.
func (d *Daemon) openAudit(ctx context.Context, m *material, version string) error {
	key := m.audit
	if key == nil {
		path := statedir.Dir(d.config.State).Key(statedir.AuditLog)
		_, checkpoint, err := d.store.Audit().Tree(ctx)
		if err != nil {
			return err
		}
		if checkpoint != nil {
			return fault.New(fault.NotFound, "the key of the audit log, %s, is gone; restore it from a backup", path)
		}
		if key, err = keys.Create(path, keys.Ed25519, m.passphrase); err != nil {
			return err
		}
	}
	var err error
	if d.audit, err = auditlog.Open(ctx, d.store.Audit(), key, auditlog.Options{}); err != nil {
		return err
	}
	fingerprint, err := auditlog.Fingerprint(key.Public())
	if err != nil {
		return err
	}
	d.log.Info("audit log is open", "events", d.audit.Size(), "key", fingerprint)
	return d.audit.Act(ctx, auditlog.Event{Kind: "bridge.start", Details: map[string]string{"version": version}})
}

// recordStop records that the bridge stops, and why when it was not asked to.
func (d *Daemon) recordStop(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	e := auditlog.Event{Kind: "bridge.stop"}
	if cause != nil {
		e.Details = map[string]string{"error": cause.Error()}
	}
	return d.audit.Act(ctx, e)
}

// recordAct records what is about to be written into the register: what was
// decided, about which record, on which documents.
func (d *Daemon) recordAct(ctx context.Context, a membership.Act) error {
	decision := a.Decision
	e := auditlog.Event{
		Kind: "member." + string(decision.Verb), Member: string(a.Member),
		Person: decision.By.Person, Credential: decision.By.Credential, Details: map[string]string{},
	}
	if decision.RecordHash != "" {
		e.Evidence = append(e.Evidence, auditlog.Evidence{Name: "record", SHA256: decision.RecordHash})
	}
	for _, doc := range decision.Documents {
		e.Evidence = append(e.Evidence, auditlog.Evidence{Name: string(doc.Kind), SHA256: doc.Hash})
	}
	for _, f := range decision.Fingerprints {
		e.Evidence = append(e.Evidence, auditlog.Evidence{Name: "certificate", SHA256: f})
	}
	for name, value := range map[string]string{"to": string(decision.To), "reason": decision.Reason} {
		if value != "" {
			e.Details[name] = value
		}
	}
	return d.audit.Act(ctx, e)
}

// recordAppointment records what is about to be written about a person.
func (d *Daemon) recordAppointment(ctx context.Context, a people.Act) error {
	e := auditlog.Event{
		Kind: "person." + a.Verb, Member: string(a.Member), Person: a.By.Person, Credential: a.By.Credential,
		Details: map[string]string{"about": string(a.Person)},
	}
	if a.Proposal != "" {
		e.Evidence = append(e.Evidence, auditlog.Evidence{Name: "proposal", SHA256: a.Proposal})
	}
	if a.Key != "" {
		e.Evidence = append(e.Evidence, auditlog.Evidence{Name: "key", SHA256: a.Key})
	}
	for _, c := range a.Credentials {
		e.Evidence = append(e.Evidence, auditlog.Evidence{Name: "credential", SHA256: c})
	}
	var roles []string
	for _, r := range a.Roles {
		roles = append(roles, string(r))
	}
	for name, value := range map[string]string{"roles": strings.Join(roles, " "), "reason": a.Reason} {
		if value != "" {
			e.Details[name] = value
		}
	}
	return d.audit.Act(ctx, e)
}
