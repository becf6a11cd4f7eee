package main

import (
	"context"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
)

func (t *tool) memberShow() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "show ID", Short: "Show everything known about one member", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Shows the case of one member: state, what is missing for the next step and who
can take it, findings of the last check, what it declared, what is proposed
instead, who decided what on which evidence, and what the world sees of it.
--watch then tells what happens, until nothing is pending and nobody need do
anything more.

JSON: id, name, country, register_number, address, sector, website, languages,
contacts [{name, email, phone, role}], services (none: all), one_way, delivery
(to-end, to-site), escrow, mail_domains, excluded_domains, directory_names,
policies [{member, bridge, section}], documents [{kind, hash, name, title,
version, date, oid, link, expires}], directories [{url, base, dialect, bind_dn,
credential, start_tls, test_mailbox}], anchors and intermediates [{subject,
sha256, not_after, certificate (DER, base64), ocsp, crl, test_serials {valid,
revoked, unused}, chain}], cross_from (member to bridge, likewise),
cross_profile, state, since, reason, halted, record_hash, applied_by {person,
credential}, applied_at, active_since, renew_by, exit_at, amendment (the same
fields as above up to cross_profile, then stage, since, renewal, changes
[{change (removed, added), name, value}]), prepared (persons), next [{verb, who
(roles), persons (how many it takes), given (persons), documents (kinds),
missing, able (persons who can, if you may see them)}], report {document (hash), at, passed, current (of the record as it
stands), failed (ids), findings [{id, title, source, must, verdict (ok, skipped,
warn, fail), subject, evidence, fix, took_ns}] (filled by show and check)}, barred
[{certificate (SHA-256), reason, at}], approvals (short of the persons they
need) and decisions [{verb, person, credential, roles, record_hash, reason, at,
to, documents, fingerprints, mappings, preview, date}], accepted (certificates
for the bridge accepted since or withdrawn, as cross_from with person, credential,
at, withdrawn {person, credential, at, reason}),
projection {listed, list_number, directory_domains, responder_issuers,
untrusted (CA certificates declared that are not, and why), cross_to (bridge to
member) [{serial, subject, not_after, revoked_at, reason}]}, pending.`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.show(ctx, args[0], watch) }),
	}
	c.Flags().BoolVar(&watch, "watch", false, "go on until nothing is left to do")
	return c
}

func (t *tool) show(ctx context.Context, id string, watch bool) error {
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
		if err != nil {
			return err
		}
		m := newMember(r.GetMember())
		if watch {
			t.noteStep(m)
			if m, err = t.watch(ctx, client, id, m, func(m member) bool { return m.Pending == "" && m.nextStep() == "" }); err != nil {
				return err
			}
		}
		nameAble(ctx, client, &m)
		if err := readFindings(ctx, client, &m); err != nil {
			return err
		}
		if t.output == "json" {
			return t.emit(m, nil, nil)
		}
		t.emitted = true
		return writePage(t.out, t.outTerminal, m.page())
	})
}
