package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

func (t *tool) memberCommand() *cobra.Command {
	c := t.noun("member", "Apply for members, admit, watch and stop them",
		t.memberTemplate(), t.memberApply(), t.memberEdit(), t.memberCheck(), t.memberApprove(),
		t.memberShow(), t.memberList(), t.memberDiff(), t.memberHistory(), t.memberDocument())
	for _, s := range steps() {
		c.AddCommand(t.memberStep(s))
	}
	c.Long = `Apply for members, admit, watch and stop them.

The way to admission, and who takes each step:

  apply, edit   applicant or officer   the record, as a draft
  submit        applicant or officer   the signed form
  check         officer and others     the bridge examines what was declared
  assess        assessor               policies, practice statement, audit
  contract      officer                agreement and self-declaration
  identify      two officers           the applicant met, fingerprints compared
  approve       two approvers          who had no hand in it, over the same record
  activate      signer                 published after one more check

"member show ID" says where a member stands, what is missing and who can do it.
Changing a member in force is an amendment, which takes the same steps while
what is in force stays; those that its changes do not touch are passed over.`
	return c
}

// memberJSON says in each help what the object is.
const memberJSON = "JSON: the member, as of \"bridgectl member show\"; see its help."

// look returns the record of a member that a decision is about. want, unless it
// is empty, is the hash it must have: that of what was looked at before.
func (t *tool) look(ctx context.Context, client proto.BridgeClient, id, want string) (*proto.Member, error) {
	r, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
	if err != nil {
		return nil, err
	}
	p := r.GetMember()
	hash := p.GetRecordHash()
	if want != "" && !strings.EqualFold(want, hash) {
		return nil, withHint(fault.New(fault.Conflict, "the record of %s has the hash %s, not %s", id, hash, want), lookAgain(id))
	}
	// What is shown must be what the hash binds, whatever the daemon says.
	shown := membership.Member{Application: convert.ToApplication(candidate(p)), Round: int(p.GetRound())}
	if shown.RecordHash() != hash {
		return nil, withHint(fault.New(fault.Conflict, "the record of %s does not have the hash that the daemon names", id),
			"this program and the daemon may be of different versions: see bridgectl version and bridgectl status")
	}
	return p, nil
}

func lookAgain(id string) string { return "look at it again: bridgectl member show " + id }

// candidate is the application that the next steps are about.
func candidate(p *proto.Member) *proto.Application {
	if a := p.GetAmendment(); a != nil {
		return a.GetApplication()
	}
	return p.GetApplication()
}

// explain adds to what a decision about id met with what can be done instead.
// looked is the hash of the record that it was about.
func (t *tool) explain(ctx context.Context, client proto.BridgeClient, id, looked string, verb membership.Verb, err error) error {
	kind := fault.KindOf(err)
	if hintOf(err) != "" || kind != fault.Conflict && kind != fault.Denied && kind != fault.Invalid {
		return err
	}
	r, unknown := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
	if unknown != nil {
		return err
	}
	m := newMember(r.GetMember())
	nameAble(ctx, client, &m)
	if looked != "" && looked != m.RecordHash {
		return withHint(err, "the record was changed meanwhile; "+lookAgain(id))
	}
	if i := slices.IndexFunc(m.Next, func(n next) bool { return n.Verb == string(verb) }); i >= 0 {
		return withHint(err, m.Next[i].command(id))
	}
	if s := m.nextStep(); s != "" {
		return withHint(err, m.stands()+"; "+s)
	}
	return withHint(err, m.stands()+"; bridgectl member show "+id+" says what can be done")
}

// emitStep tells what a decision came to, and what leads on.
func (t *tool) emitStep(ctx context.Context, client proto.BridgeClient, p *proto.Member) error {
	m := newMember(p)
	nameAble(ctx, client, &m)
	t.noteStep(m)
	return t.emit(m, nil, m.summary())
}

func (t *tool) noteStep(m member) {
	said := m.stands()
	if n := len(m.Decisions); n > 0 {
		said = m.Decisions[n-1].Verb + " is recorded; " + said
	}
	t.note("%s", said)
	t.noteNext(m)
}

func (t *tool) noteNext(m member) {
	if s := m.nextStep(); s != "" {
		t.note("hint: %s", s)
	}
}

// longAnswer is how long the daemon may take where it examines or publishes,
// unless --timeout says otherwise: a little more than it allows itself.
const longAnswer = 100 * time.Second

func (t *tool) allowLong(c *cobra.Command) {
	if !c.Flags().Changed("timeout") {
		t.timeout = longAnswer
	}
}

// memberIDs offers member ids to the shell. It never asks a person anything,
// and says nothing when the daemon does not answer quickly.
func (t *tool) memberIDs(c *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	if len(args) == 0 {
		t.timeout = min(t.timeout, 2*time.Second)
		_ = t.ask(func(client proto.BridgeClient) error {
			page, err := client.ListMembers(c.Context(), &proto.ListMembersRequest{PageSize: 500})
			for _, m := range page.GetMembers() {
				if strings.HasPrefix(m.Id, prefix) {
					out = append(out, cobra.CompletionWithDesc(harmless(m.Id), harmless(m.Name)))
				}
			}
			return err
		})
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
