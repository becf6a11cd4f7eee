package federation_test

import (
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
	"bridge.example/membership"
)

// TestKillAdmissions kills a bridge with SIGKILL at random moments of
// admissions, amendments, suspensions, of certificates for the bridge,
// documents and the appointment of persons: twenty times, or as often as
// BRIDGE_LIVES says. Nothing acknowledged may be gone, nothing half done; no
// number is used twice; and the audit log knows each act, and verifies.
func TestKillAdmissions(t *testing.T) {
	total := 20
	if n := os.Getenv(envLives); n != "" {
		var err error
		if total, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
	}
	lives := min(total, 50)
	for range (total + lives - 1) / lives {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%x", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			s := newSuccession(t)
			for life := range lives {
				lines, delay := random.IntN(16), time.Duration(random.IntN(3000))*time.Microsecond
				if lines == 0 {
					delay *= 30 // into what happens at the start
				}
				env := []string{envLivesDir + "=" + s.dir, fmt.Sprintf("%s=%x", envLivesSeed, random.Uint64())}
				outlive(t, "TestAdmissionsChild", env, lines, delay, func(line string) { s.hear(t, line) })
				s.check(t)
				if t.Failed() {
					t.Fatalf("in life %d", life)
				}
			}
			s.end(t, lives)
		})
	}
}

// succession is what was heard and seen of one bridge in all lives so far.
type succession struct {
	dir   string
	key   crypto.Signer // of the audit log
	print string        // its fingerprint

	// As found after the last life.
	checkpoint []byte
	events     uint64
	members    map[membership.ID]membership.Member
	persons    map[people.ID]people.Person
	ledger     map[string]crosscert.Stage
	list, crl  int64

	// As acknowledged in the life before the next check.
	ackedMembers map[membership.ID]witness
	ackedPersons map[people.ID]witness
	documents    map[string]bool // all that must be there
}

func newSuccession(t *testing.T) *succession {
	t.Helper()
	s := &succession{
		dir: found(t), members: map[membership.ID]membership.Member{}, persons: map[people.ID]people.Person{},
		ledger: map[string]crosscert.Stage{}, ackedMembers: map[membership.ID]witness{}, ackedPersons: map[people.ID]witness{}, documents: map[string]bool{},
	}
	for _, id := range applicants {
		writeCA(t, s.dir, id)
	}
	var err error
	if s.key, err = keys.Open(statedir.Dir(s.dir).Key(statedir.AuditLog), nil); err != nil {
		t.Fatal(err)
	}
	if s.print, err = auditlog.Fingerprint(s.key.Public()); err != nil {
		t.Fatal(err)
	}
	store, err := boltstore.Open(statedir.Dir(s.dir).Store())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s.readEvents(t, store)
	s.checkPersons(t, store, nil)
	s.checkNumbers(t, store)
	return s
}

func (s *succession) hear(t *testing.T, line string) {
	t.Helper()
	var w witness
	if err := json.Unmarshal([]byte(line), &w); err != nil {
		t.Fatalf("the child says %q: %v", line, err)
	}
	switch {
	case w.Member != nil:
		s.ackedMembers[w.Member.ID] = w
		s.list, s.crl = max(s.list, w.List), max(s.crl, w.CRL)
	case w.Person != nil:
		s.ackedPersons[w.Person.ID] = w
	default:
		s.documents[w.Document] = true
	}
}

// check holds the store to what was heard and to what it said before.
func (s *succession) check(t *testing.T) {
	t.Helper()
	store, err := boltstore.Open(statedir.Dir(s.dir).Store())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	events := s.readEvents(t, store)
	s.checkMembers(t, store, events)
	s.checkPersons(t, store, events)
	s.checkNumbers(t, store)
	for hash := range s.documents {
		if _, err := store.Documents().Get(t.Context(), "nobody", hash); err != nil {
			t.Errorf("document %s: %v", hash, err)
		}
	}
	clear(s.ackedMembers)
	clear(s.ackedPersons)
	clear(s.documents)
}

// readEvents verifies the whole log as a stranger would, against the
// checkpoint of the last life, and returns what was added since.
func (s *succession) readEvents(t *testing.T, store *boltstore.Store) (added []auditlog.Event) {
	t.Helper()
	log, err := auditlog.Open(t.Context(), store.Audit(), s.key, auditlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := log.Export(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	if _, err := auditlog.VerifyExport(&file, auditlog.Expectation{Fingerprint: s.print, Since: s.checkpoint, Each: func(e auditlog.Event) error {
		if e.Number > s.events {
			added = append(added, e)
		}
		return nil
	}}); err != nil {
		t.Fatalf("the audit log does not verify: %v", err)
	}
	s.checkpoint, s.events = log.Checkpoint(), log.Size()
	return added
}

// about are the events of a kind that begins so.
func about(events []auditlog.Event, prefix string) (out []auditlog.Event) {
	for _, e := range events {
		if strings.HasPrefix(e.Kind, prefix) {
			out = append(out, e)
		}
	}
	return out
}

// everyAct wants an event for each save, and at most one more: that before the
// act which did not happen. Each save takes the next revision of its store.
func everyAct(t *testing.T, what string, events []auditlog.Event, before, after uint64) {
	t.Helper()
	if saves := int(after - before); len(events) != saves && len(events) != saves+1 {
		t.Errorf("%d acts about %s, and %d events", saves, what, len(events))
	}
}

func (s *succession) checkMembers(t *testing.T, store *boltstore.Store, events []auditlog.Event) {
	t.Helper()
	ctx := t.Context()
	events = about(events, "member.")
	now := map[membership.ID]membership.Member{}
	byState := map[membership.State][]membership.ID{}
	owners := map[membership.Claim]membership.ID{}
	var before, after membership.Revision
	for m, err := range store.Members().All(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		old := s.members[m.ID]
		before, after = max(before, old.Revision), max(after, m.Revision)
		now[m.ID] = m
		byState[m.State] = append(byState[m.State], m.ID)
		for _, c := range m.Claims() {
			if other := owners[c]; other != "" {
				t.Errorf("%s belongs to %s and %s", c, other, m.ID)
			}
			owners[c] = m.ID
		}
		w := s.ackedMembers[m.ID]
		follows(t, old, m)
		if w.Member != nil {
			w.Member.Revision = w.Revision
			follows(t, *w.Member, m)
		}
		whole(t, store, m)
		announced(t, m, old, events)
	}
	everyAct(t, "members", events, uint64(before), uint64(after))
	for id := range s.ackedMembers {
		if now[id].ID == "" {
			t.Errorf("%s was acknowledged, and is gone", id)
		}
	}
	for _, state := range membership.States() {
		var found []membership.ID
		for m, err := range store.Members().In(ctx, state) {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, m.ID)
		}
		if !slices.Equal(found, byState[state]) {
			t.Errorf("%v are %s, and the index says %v", byState[state], state, found)
		}
	}
	claims := map[membership.Claim]bool{"domain " + contested: true}
	for _, m := range now {
		m.State = membership.Active // which claims all
		for _, c := range m.Claims() {
			claims[c] = true
		}
	}
	for c := range claims {
		owner, err := store.Members().Owner(ctx, c)
		if err != nil && fault.KindOf(err) != fault.NotFound || owner != owners[c] {
			t.Errorf("%s belongs to %q by the records, to %q by the index (%v)", c, owners[c], owner, err)
		}
	}
	s.members = now
}

// follows wants m to be old, or to come after it.
func follows(t *testing.T, old, m membership.Member) {
	t.Helper()
	switch {
	case m.Revision < old.Revision:
		t.Errorf("%s was at revision %d, and is at %d", m.ID, old.Revision, m.Revision)
	case m.Revision == old.Revision && text(t, m) != text(t, old):
		t.Errorf("%s was, at one revision, %s and %s", m.ID, text(t, old), text(t, m))
	case len(m.Decisions) < len(old.Decisions) || !slices.EqualFunc(m.Decisions[:len(old.Decisions)], old.Decisions, func(a, b membership.Decision) bool { return text(t, a) == text(t, b) }):
		t.Errorf("%s: the history %s is now %s", m.ID, text(t, old.Decisions), text(t, m.Decisions))
	case len(m.Inbound) < len(old.Inbound) || old.Round > m.Round:
		t.Errorf("%s had %d certificates in round %d, and has %d in round %d", m.ID, len(old.Inbound), old.Round, len(m.Inbound), m.Round)
	}
	for i, c := range old.Inbound {
		if n := m.Inbound[i]; !bytes.Equal(c.Certificate, n.Certificate) || c.Withdrawn != nil && !reflect.DeepEqual(c.Withdrawn, n.Withdrawn) {
			t.Errorf("%s: a certificate for the bridge is another", m.ID)
		}
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// whole wants a record to agree with itself, and all that it names to be there.
func whole(t *testing.T, store *boltstore.Store, m membership.Member) {
	t.Helper()
	var to membership.State
	for _, d := range m.Decisions {
		if d.To != "" {
			to = d.To
		}
		hashes := []string{d.RecordHash}
		for _, doc := range d.Documents {
			hashes = append(hashes, doc.Hash)
		}
		for _, hash := range hashes {
			if _, err := store.Documents().Get(t.Context(), m.ID, hash); hash != "" && d.Verb != membership.Check && err != nil {
				t.Errorf("%s: %s names the document %s: %v", m.ID, d.Verb, hash, err)
			}
		}
	}
	// Who withdraws an amendment leaves the member as it was.
	if to != m.State && to != m.Stage() && to != membership.Withdrawn || !slices.Contains(membership.States(), m.State) {
		t.Errorf("%s is %s, at %s, and the last decision led to %s", m.ID, m.State, m.Stage(), to)
	}
	persons := map[string]bool{}
	for _, a := range m.Approvals {
		if persons[string(a.Verb)+a.By.Person] {
			t.Errorf("%s approved %s twice", a.By.Person, m.ID)
		}
		persons[string(a.Verb)+a.By.Person] = true
		if !slices.ContainsFunc(m.Decisions, func(d membership.Decision) bool { return text(t, d) == text(t, a) }) {
			t.Errorf("%s: an approval of %s stands in no history", m.ID, a.By.Person)
		}
		if a.Verb == membership.Approve && a.RecordHash != m.RecordHash() {
			t.Errorf("%s: an approval of another record counts", m.ID)
		}
	}
	if m.Report != nil {
		if _, err := store.Documents().Get(t.Context(), m.ID, m.Report.Document); err != nil {
			t.Errorf("%s: its report: %v", m.ID, err)
		}
	}
}

// announced wants an event for each thing that is new in m, in the same order.
func announced(t *testing.T, m, old membership.Member, events []auditlog.Event) {
	t.Helper()
	for _, d := range m.Decisions[len(old.Decisions):] {
		i := slices.IndexFunc(events, func(e auditlog.Event) bool {
			return e.Kind == "member."+string(d.Verb) && e.Member == string(m.ID) && e.Person == d.By.Person && e.Details["to"] == string(d.To)
		})
		if i < 0 {
			t.Errorf("%s: %s by %s has no event, or not in its place", m.ID, d.Verb, d.By.Person)
			return
		}
		events = events[i+1:]
	}
}

func (s *succession) checkPersons(t *testing.T, store *boltstore.Store, events []auditlog.Event) {
	t.Helper()
	now := map[people.ID]people.Person{}
	var before, after uint64
	for p, err := range store.People().All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		now[p.ID] = p
		before, after = max(before, s.persons[p.ID].Revision), max(after, p.Revision)
	}
	if len(s.persons) > 0 { // not at the founding
		everyAct(t, "persons", about(events, "person."), before, after)
	}
	for id, w := range s.ackedPersons {
		p := now[id]
		if p.Revision < w.PersonAt || p.Revision == w.PersonAt && text(t, p) != text(t, w.Person) {
			t.Errorf("%s is %s at %d; acknowledged was %s at %d", id, text(t, p), p.Revision, text(t, w.Person), w.PersonAt)
		}
	}
	s.persons = now
}

// checkNumbers holds ledger, CRLs and lists to what they said before.
func (s *succession) checkNumbers(t *testing.T, store *boltstore.Store) {
	t.Helper()
	now := map[string]crosscert.Stage{}
	for r, err := range store.Ledger().Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if now[r.Serial.String()] != "" {
			t.Errorf("serial %s is there twice", r.Serial)
		}
		now[r.Serial.String()] = r.Stage
	}
	for serial, stage := range s.ledger {
		if after[now[serial]] < after[stage] {
			t.Errorf("serial %s was %s and is now %q", serial, stage, now[serial])
		}
	}
	s.ledger = now
	crl, _, err1 := store.Ledger().LatestCRL(t.Context(), 1)
	list, _, err2 := store.Lists().Latest(t.Context())
	if crl < s.crl || list < s.list {
		t.Errorf("the CRL is %d (%v) after %d, the list %d (%v) after %d", crl, err1, s.crl, list, err2, s.list)
	}
	s.crl, s.list = crl, list
}

// end lets the last life end in peace: what is published agrees with the
// records, and there was something to kill.
func (s *succession) end(t *testing.T, lives int) {
	t.Helper()
	b := openAudited(t, s.dir, sound{})
	if err := b.authority.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.checkInvariants(t, "in the end")
	if len(s.members) == 0 || s.events < uint64(3*lives) {
		t.Errorf("in all lives there were %d members and %d events", len(s.members), s.events)
	}
}
