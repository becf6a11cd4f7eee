package membership

import (
	"slices"
	"time"
)

// State is where a member, or an amendment, stands.
type State string

// The steps to admission, in order.
const (
	Draft      State = "draft"      // being written
	Submitted  State = "submitted"  // handed in, signed
	Checked    State = "checked"    // every technical check that must hold, holds
	Assessed   State = "assessed"   // policies and practice statement compared
	Contracted State = "contracted" // agreement signed
	Identified State = "identified" // two officers met the applicant
	Approved   State = "approved"   // two approvers agreed to the same record
)

// The life of a member.
const (
	Active     State = "active"
	RenewalDue State = "renewal-due" // served as before, while it is renewed
	Suspended  State = "suspended"
	Exiting    State = "exiting" // leaves on a date that is set
	Left       State = "left"
	Revoked    State = "revoked"
)

// What ends an application.
const (
	Rejected  State = "rejected"
	Withdrawn State = "withdrawn"
	Lapsed    State = "lapsed" // idle for too long
)

var (
	openStates = []State{Draft, Submitted, Checked, Assessed, Contracted, Identified, Approved}
	liveStates = []State{Active, RenewalDue, Suspended, Exiting}
	overStates = []State{Left, Revoked, Rejected, Withdrawn, Lapsed}
)

// States are all there are, in the order in which a member passes them.
func States() []State { return slices.Concat(openStates, liveStates, overStates) }

func (s State) open() bool { return slices.Contains(openStates, s) }
func (s State) live() bool { return slices.Contains(liveStates, s) }
func (s State) over() bool { return slices.Contains(overStates, s) }

// Verb is what is decided.
type Verb string

const (
	// Those of no row: who applies or edits decides nothing, and a check reports.
	Apply Verb = "apply"
	Edit  Verb = "edit"
	Check Verb = "check"
	Bar   Verb = "bar" // one CA certificate of a member

	// Those that are audited and stand in no history: the record has them
	// beside it, see [Inbound].
	AcceptInbound   Verb = "accept-inbound"
	WithdrawInbound Verb = "withdraw-inbound"

	Submit   Verb = "submit"
	Assess   Verb = "assess"
	Contract Verb = "contract"
	Identify Verb = "identify"
	Approve  Verb = "approve"
	Activate Verb = "activate"

	Reject   Verb = "reject"
	Withdraw Verb = "withdraw"
	Lapse    Verb = "lapse"

	Suspend Verb = "suspend"
	Confirm Verb = "confirm" // a suspension, by a second person
	Resume  Verb = "resume"
	Renew   Verb = "renew"
	FallDue Verb = "fall-due" // a renewal
	Exit    Verb = "exit"
	Leave   Verb = "leave"
	Revoke  Verb = "revoke"
)

// Verbs are those that can be decided, in the order of the table.
func Verbs() (out []Verb) {
	for _, t := range table {
		if !slices.Contains(out, t.verb) {
			out = append(out, t.verb)
		}
	}
	return out
}

// transition is one row of the table of what may be decided.
type transition struct {
	verb Verb
	from []State
	to   State // empty: the state stays
	// amends says that the row is about the candidate: an amendment where there
	// is one.
	amends bool
	who    []Role // any of them
	// persons is how many different ones must decide the same.
	persons int
	// independent persons had no hand in what they decide.
	independent bool
	// binds says that a decision must name the hash of the record looked at.
	binds bool
	// at once is the state that follows the first of several persons.
	atOnce State

	reason       bool
	documents    []DocumentKind
	fingerprints bool          // of every anchor, read aloud
	preview      bool          // of the graph, seen
	mappings     bool          // every row of policies reviewed
	date         bool          // in the future
	report       time.Duration // how old a passed examination may be; 0: none needed
}

const (
	day = 24 * time.Hour

	// reportAge is how old the examination may be that steps stand on, and
	// reportFresh that on which a record is put into force.
	reportAge   = 7 * day
	reportFresh = time.Hour
	// approvalAge is how long an approval counts.
	approvalAge = 72 * time.Hour
	// ConfirmWithin is when a second person should have confirmed a suspension.
	ConfirmWithin = day
	// idleTime is when an application lapses that nobody touches.
	idleTime = 90 * day
	// Quorum is how many different persons must approve the same record.
	Quorum = 2
	// term is for how long a member is admitted; renewal falls due noticeTime
	// before its end.
	term       = 365 * day
	noticeTime = 90 * day
)

// Stopping is easy, starting is hard: one officer suspends, many admit.
var table = []transition{
	{verb: Submit, from: []State{Draft}, to: Submitted, amends: true, who: []Role{Applicant, MemberRole, Officer}, persons: 1,
		documents: []DocumentKind{Form}},
	{verb: Assess, from: []State{Checked}, to: Assessed, amends: true, who: []Role{Assessor}, persons: 1,
		binds: true, documents: []DocumentKind{Assessment, Audit}, mappings: true, report: reportAge},
	{verb: Contract, from: []State{Assessed}, to: Contracted, amends: true, who: []Role{Officer}, persons: 1,
		binds: true, documents: []DocumentKind{Agreement, Declaration}, report: reportAge},
	{verb: Identify, from: []State{Contracted}, to: Identified, amends: true, who: []Role{Officer}, persons: 2,
		binds: true, documents: []DocumentKind{Minutes}, fingerprints: true, report: reportAge},
	// Approvals that grew too old before the activation are given again.
	{verb: Approve, from: []State{Identified, Approved}, to: Approved, amends: true, who: []Role{Approver}, persons: Quorum,
		independent: true, binds: true, fingerprints: true, preview: true, report: reportAge},
	{verb: Activate, from: []State{Approved}, to: Active, amends: true, who: []Role{Signer}, persons: 1,
		binds: true, report: reportFresh},

	{verb: Reject, from: openStates, to: Rejected, amends: true, who: []Role{Assessor, Approver}, persons: 1, reason: true},
	{verb: Withdraw, from: openStates, to: Withdrawn, amends: true, who: []Role{Applicant, MemberRole, Officer}, persons: 1, reason: true},
	{verb: Lapse, from: openStates, to: Lapsed, amends: true, who: []Role{System}, persons: 1},

	{verb: Suspend, from: []State{Active, RenewalDue}, to: Suspended, who: []Role{Officer, System}, persons: 1, reason: true},
	// A member that is leaving stays on its way out.
	{verb: Suspend, from: []State{Exiting}, who: []Role{Officer, System}, persons: 1, reason: true},
	{verb: Confirm, from: []State{Suspended}, who: []Role{Officer, Approver}, persons: 1},
	{verb: Resume, from: []State{Suspended}, to: Active, who: []Role{Approver}, persons: Quorum,
		binds: true, reason: true, report: reportAge},
	{verb: FallDue, from: []State{Active}, to: RenewalDue, who: []Role{System}, persons: 1},
	{verb: Renew, from: []State{Active, RenewalDue}, who: []Role{MemberRole, Officer}, persons: 1},
	{verb: Exit, from: []State{Active, RenewalDue, Suspended}, to: Exiting, who: []Role{MemberRole}, persons: 1, reason: true, date: true},
	{verb: Exit, from: []State{Active, RenewalDue, Suspended}, to: Exiting, who: []Role{Approver}, persons: Quorum, binds: true, reason: true, date: true},
	{verb: Leave, from: []State{Exiting}, to: Left, who: []Role{System}, persons: 1},
	// One officer stops, two more confirm: it cannot be undone.
	{verb: Revoke, from: liveStates, to: Revoked, who: []Role{Officer, Approver}, persons: 3, atOnce: Suspended, reason: true},
}
