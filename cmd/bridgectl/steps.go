package main

import (
	"slices"
	"strings"

	"bridge.example/membership"
)

// step is a decision that is taken by naming its evidence. What only differs in
// that is data here; who may take it, and when, the register says.
type step struct {
	verb  membership.Verb
	short string
	long  string

	papers       []paper
	mappings     bool // the rows of policies reviewed
	fingerprints bool // read aloud
	onForm       bool // fingerprints as they stand on the form, if known
	reason       bool
	date         bool // of leaving
	// binds says that it is about the record as it was looked at.
	binds bool
	// Whether it shows the record and asks, and whether it asks for the id: it
	// cannot be undone.
	asks, final bool
	// publishes says that the world follows, which takes time.
	publishes bool
}

// paper is a document that a step needs.
type paper struct {
	flag    string
	kind    membership.DocumentKind
	what    string
	expires string // flag with the end of its validity; empty where it has none
}

func steps() []step {
	return []step{
		{
			verb: membership.Submit, short: "Hand an application in", binds: true, onForm: true,
			papers: []paper{{"form", membership.Form, "the application, signed by whoever may sign for the organisation", ""}},
			long: `Hands in the draft of an application or amendment, with the signed form.
--fingerprint records what the form says of each CA certificate, and the bridge
compares it (check C8). It examines the rest next: "bridgectl member check".`,
		},
		{
			verb: membership.Assess, short: "Find policies and practice equivalent", binds: true, mappings: true,
			papers: []paper{{"assessment", membership.Assessment, "what was compared, and how", ""}, {"audit", membership.Audit, "the auditor's letter", "audit-expires"}},
			long: `Records that policies, practice statement and audit were assessed. Each row of
policies must be named as equivalent by --mapping, or all by --all-mappings.`,
		},
		{
			verb: membership.Contract, short: "Record the signed agreement", binds: true,
			papers: []paper{{"agreement", membership.Agreement, "the contract, signed", "expires"}, {"declaration", membership.Declaration, "the member's own declaration", ""}},
			long:   "Records the contract, until when it runs, and the member's self-declaration.",
		},
		{
			verb: membership.Identify, short: "Record that the applicant was met in person", binds: true, fingerprints: true,
			papers: []paper{{"minutes", membership.Minutes, "the minutes of the meeting, signed", ""}},
			long: `Records that two officers met the applicant and compared the fingerprints of all
anchors. Each officer runs it, with the minutes and what was read aloud; on a
terminal the fingerprints are asked for.`,
		},
		{
			verb: membership.Activate, short: "Put into force what was approved", binds: true, publishes: true,
			long: `Has the member examined once more and puts the approved record into force: list,
directory, responder and cross-certificates follow before the command returns,
or soon after; --watch waits for that.`,
		},
		{
			verb: membership.Reject, short: "Reject an application or amendment", reason: true,
			long: "Rejects what is proposed. A member in force stays as it is; an applicant may\napply again.",
		},
		{
			verb: membership.Withdraw, short: "Take an application or amendment back", reason: true,
			long: "Takes back what is proposed. A member in force stays as it is.",
		},
		{
			verb: membership.Suspend, short: "Stop a member at once", reason: true, publishes: true,
			long: `Stops a member at once: it leaves the signed list, the directory and the
responder, and its cross-certificates are revoked. One officer is enough, and a
second person should "confirm" within a day. "resume" brings it back.`,
		},
		{
			verb: membership.Confirm, short: "Confirm a suspension as the second person",
			long: "Confirms that the suspension of a member is right.",
		},
		{
			verb: membership.Resume, short: "Bring a suspended member back", binds: true, reason: true, asks: true, publishes: true,
			long: `Brings a suspended member back, when two approvers say so about the same record
and the checks hold. The record is shown and asked about; --yes answers.`,
		},
		{
			verb: membership.Renew, short: "Begin the yearly renewal",
			long: "Opens the record in force for renewal: every step from check on is due again,\nwith fresh evidence, while the member stays in force. \"edit\" changes the record.",
		},
		{
			verb: membership.Exit, short: "Set the day on which a member leaves", binds: true, reason: true, date: true, final: true,
			long: "Sets the day on which a member leaves for good: for the member by itself, or by\ntwo approvers. It cannot be undone.",
		},
		{
			verb: membership.Revoke, short: "Expel a member for ever", reason: true, final: true, publishes: true,
			long: `Expels a member, whose keys and names never come back. The first person stops it
at once; three different persons in all make it final.`,
		},
	}
}

// usage is what the command needs besides the id.
func (s step) usage() string {
	var out []string
	for _, p := range s.papers {
		out = append(out, "--"+p.flag+" FILE")
		if p.expires != "" {
			out = append(out, "--"+p.expires+" DATE")
		}
	}
	if s.mappings {
		out = append(out, "--all-mappings")
	}
	if s.fingerprints {
		out = append(out, "--fingerprint HEX")
	}
	if s.date {
		out = append(out, "--date DATE")
	}
	if s.reason {
		out = append(out, "--reason WHY")
	}
	return strings.Join(out, " ")
}

// usageOf is the usage of any verb.
func usageOf(v membership.Verb) string {
	all := steps()
	if i := slices.IndexFunc(all, func(s step) bool { return s.verb == v }); i >= 0 {
		return all[i].usage()
	}
	return ""
}
