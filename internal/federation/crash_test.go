package federation_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"bridge.example/crosscert"
	"bridge.example/internal/lab"
	"bridge.example/membership"
)

// deed is one act of the scenario. It may be repeated after a crash that hid
// whether it had happened.
type deed struct {
	name string
	do   func(ctx context.Context, b *bridge) error
	// state that the register must show at least once the step was acknowledged
	state membership.State
}

// scenario is everything that writes, in the order of a member's life.
func scenario() []deed {
	out := []deed{{"apply", func(ctx context.Context, b *bridge) error {
		_, err := b.apply(ctx, b.application)
		return err
	}, membership.Draft}}
	life := append(lab.Admission(),
		lab.Step{Verb: membership.Suspend, By: lab.Bob}, lab.Step{Verb: membership.Check, By: lab.Ada},
		lab.Step{Verb: membership.Resume, By: lab.Emil}, lab.Step{Verb: membership.Resume, By: lab.Dora})
	states := []membership.State{
		membership.Submitted, membership.Checked, membership.Assessed, membership.Contracted, membership.Contracted, membership.Identified,
		membership.Identified, membership.Approved, membership.Approved, membership.Active,
		membership.Suspended, membership.Suspended, membership.Suspended, membership.Active,
	}
	for i, s := range life {
		out = append(out, deed{fmt.Sprintf("%d %s by %s", i, s.Verb, s.By.Person), func(ctx context.Context, b *bridge) error {
			return b.desk().Take(ctx, "alpha", s)
		}, states[i]})
	}
	return out
}

const (
	envDir  = "BRIDGE_CRASH_DIR"
	envAt   = "BRIDGE_CRASH_AT"   // the write that is the last
	envLost = "BRIDGE_CRASH_LOST" // "1": before it reached the disk, else after
	ack     = "acknowledged: "
)

// TestCrash kills a bridge with SIGKILL at each write of the scenario in turn,
// once before the write and once after it, and restarts it. Nothing
// acknowledged may be gone, no number used twice, and the projections must
// agree with the register.
func TestCrash(t *testing.T) {
	for at := 1; ; at++ {
		finished := false
		for _, lost := range []string{"1", "0"} {
			dir := found(t)
			acked, crashed := runChild(t, dir, at, lost)
			finished = !crashed
			checkAfterCrash(t, dir, acked, fmt.Sprintf("write %d, lost=%s", at, lost))
		}
		if finished {
			if at < 10 {
				t.Errorf("the scenario made only %d writes", at-1)
			}
			return
		}
	}
}

// runChild runs the scenario in a process of its own and returns the steps it
// acknowledged, and whether it was killed.
func runChild(t *testing.T, dir string, at int, lost string) (acked []string, crashed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
	cmd.Env = append(os.Environ(), envDir+"="+dir, envAt+"="+strconv.Itoa(at), envLost+"="+lost)
	out, err := cmd.Output()
	for line := range strings.Lines(string(out)) {
		if step, ok := strings.CutPrefix(strings.TrimSpace(line), ack); ok {
			acked = append(acked, step)
		}
	}
	if err == nil {
		return acked, false
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended with %v:\n%s", err, out)
	}
	return acked, true
}

// TestCrashChild is the process that gets killed.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(envDir)
	if dir == "" {
		t.Skip("run by TestCrash")
	}
	at, err := strconv.Atoi(os.Getenv(envAt))
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, dir, &killer{at: at, lost: os.Getenv(envLost) == "1"})
	out := bufio.NewWriter(os.Stdout)
	for _, step := range scenario() {
		if err := step.do(t.Context(), b); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		fmt.Fprintf(out, "%s%s\n", ack, step.name)
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

func checkAfterCrash(t *testing.T, dir string, acked []string, where string) {
	t.Helper()
	b, scenario := open(t, dir, nil), scenario()
	defer b.close()
	ctx := t.Context()
	if err := b.authority.Recover(ctx); err != nil {
		t.Fatalf("%s: recovering: %v", where, err)
	}
	if err := b.Reconcile(ctx); err != nil {
		t.Fatalf("%s: reconciling: %v", where, err)
	}
	// What was acknowledged is there: at most the one step that crashed may
	// have happened besides.
	progress := 0
	for i, step := range acked {
		if step != scenario[i].name {
			t.Fatalf("%s: acknowledged %q as step %d", where, step, i)
		}
		progress = i + 1
	}
	if progress > 0 {
		m, err := b.Case(ctx, "alpha")
		if err != nil {
			t.Fatalf("%s: %d steps were acknowledged, yet %v", where, progress, err)
		}
		next := min(progress, len(scenario)-1)
		if s := m.Member.State; s != scenario[progress-1].state && s != scenario[next].state {
			t.Errorf("%s: after %d acknowledged steps the state is %s", where, progress, s)
		}
	}
	b.checkInvariants(t, where)

	// And life goes on from there. A step that happened without being
	// acknowledged is refused as a repetition, which is fine.
	for _, step := range scenario[progress:] {
		_ = step.do(ctx, b)
	}
	if c, err := b.Case(ctx, "alpha"); err != nil || c.Member.State != membership.Active || c.Pending != "" {
		t.Errorf("%s: continued to state %s, pending %q, %v; want active", where, c.Member.State, c.Pending, err)
	}
	b.checkInvariants(t, where+", continued")
}

// killer ends the process at the write number at.
type killer struct {
	at, writes int
	lost       bool
}

// around runs a write, or dies before or after it.
func (k *killer) around(write func() error) error {
	k.writes++
	if k.writes != k.at {
		return write()
	}
	if !k.lost {
		_ = write() // whatever it says, nobody will hear
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}

// checkInvariants holds what is stored and published against each other.
func (b *bridge) checkInvariants(t *testing.T, where string) {
	t.Helper()
	ctx := t.Context()
	serials := map[string]bool{}
	revoked := map[string]bool{}
	live := 0
	for r, err := range b.ledger.Records(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if s := r.Serial.String(); serials[s] {
			t.Errorf("%s: serial %x is there twice", where, r.Serial)
		} else {
			serials[s] = true
		}
		if len(r.ToBeSigned) == 0 {
			t.Errorf("%s: certificate %x without an intent", where, r.Serial)
		}
		switch r.Stage {
		case crosscert.Intended:
			t.Errorf("%s: intent %x was left behind", where, r.Serial)
		case crosscert.Revoked:
			revoked[r.Serial.String()] = true
		case crosscert.Issued:
			if r.Member != "" {
				live++
			}
		}
	}
	a := b.Artifacts()
	crl := parseCRL(t, a.CRL)
	if err := crl.CheckSignatureFrom(a.BridgeCA); err != nil {
		t.Errorf("%s: CRL: %v", where, err)
	}
	for _, e := range crl.RevokedCertificateEntries {
		if !revoked[e.SerialNumber.String()] {
			t.Errorf("%s: the CRL names %x, which the ledger does not", where, e.SerialNumber)
		}
		delete(revoked, e.SerialNumber.String())
	}
	if len(revoked) > 0 {
		t.Errorf("%s: the CRL lacks %v", where, revoked)
	}
	number, der, err := b.lists.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for n := int64(1); n <= number; n++ {
		if _, err := b.lists.Get(ctx, n); err != nil {
			t.Errorf("%s: list %d of %d: %v", where, n, number, err)
		}
	}
	list := b.openList(t, der)
	if a.ListNumber != number || list.Number != number || string(a.List) != string(der) {
		t.Errorf("%s: published list %d, stored %d, signed %d", where, a.ListNumber, number, list.Number)
	}
	active := 0
	for m, err := range b.members.All(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		trusted := func(c membership.CA) bool { return !m.IsBarred(c.Certificate) }
		if m.Served() && slices.ContainsFunc(m.Anchors, trusted) {
			active++
		}
	}
	if len(list.Entries) != active || live != active || len(a.Trusted) != active {
		t.Errorf("%s: %d active, but %d listed, %d cross-certified, %d trusted", where, active, len(list.Entries), live, len(a.Trusted))
	}
}
