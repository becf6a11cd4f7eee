package checkup_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"bridge.example/internal/checkup"
)

var update = flag.Bool("update", false, "write docs/checks.md anew")

const page = "../../docs/checks.md"

// TestPage holds the page of all checks to the table: -update writes it.
func TestPage(t *testing.T) {
	got, err := os.ReadFile(page)
	if err != nil && !*update {
		t.Fatal(err)
	}
	want := pageOf(checkup.Checks())
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(got) != want {
		t.Error("docs/checks.md is not what the table says; run this test with -update")
	}
}

const pageHead = `# The checks

What the bridge looks at before it admits an organisation, again before a member
becomes active, and every night after that. "bridgectl preflight -f FILE" runs
the same on an application before it is sent.

A check that *must* hold bars admission when it fails; one that *should* warns.
Each says ok, warn, fail, or skipped with the reason: what only the bridge knows
is skipped outside it.

The proof of a mail domain (D9) is a TXT record at ` + "`_bridge-challenge.<domain>`" + `. Its
value is "bridge-challenge=" and the SHA-256, in hex, over the member's id, a
line feed, and the SHA-256 of each anchor certificate in hex, in ascending order
and with a line feed between two. preflight prints it. It is no secret, and good
for these anchors only. The daemon asks the system's DNS for it, or the server
that ` + "`checks.resolver`" + ` names in bridged.yaml.

What cannot be right at all is not examined but refused, with the line of the
application: a certificate that is no CA's, a level that the bridge does not have, a
mail domain or key that is another member's.

The fingerprints on the signed form (C8) are those of all CA certificates of the
application, as "bridgectl member submit --fingerprint" records them; without,
the check is skipped.

The bridge examines who has submitted four times a day, each at a time of its own,
and what passes is a step further by itself. Five examinations over 24 hours, of the
last 36, show that the status services are steady (V9): one that failed bars until
a day has passed without. Before there are five the check is skipped, which bars
nobody: an admission commonly takes longer. Members in force are examined once in
a night, which is too seldom for it.

A member consents to paths (I4) by certifying the bridge CA. From each that did,
a path must lead to the applicant, and from the applicant to each member that the
bridge certified, where both map policies to a common level; an applicant that
asks for ` + "`one_way`" + ` or for no cross-certificate needs none. A path that the
applicant would open between two others fails. One that leads beyond the
applicant, to a CA of another organisation, does not: the preview shows it to
those who approve.

`

func pageOf(checks []checkup.Check) string {
	var b strings.Builder
	b.WriteString(pageHead)
	groups := map[byte]string{'C': "CA certificates", 'D': "Directory and mail domains", 'V': "Status of certificates", 'I': "Working together"}
	for i, c := range checks {
		if i == 0 || checks[i-1].ID[0] != c.ID[0] {
			fmt.Fprintf(&b, "## %s\n\n| | Check | | Asks | If not | Source |\n|---|---|---|---|---|---|\n", groups[c.ID[0]])
		}
		demand := "should"
		if c.Must {
			demand = "must"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", c.ID, c.Title, demand, c.Asks, c.Fix, c.Source)
		if i+1 < len(checks) && checks[i+1].ID[0] != c.ID[0] {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range checkup.Checks() {
		if seen[c.ID] || c.Title == "" || c.Source == "" || c.Fix == "" || !strings.HasSuffix(c.Asks, "?") && c.ID != "D2" && c.ID != "I1" {
			t.Errorf("%s is there twice, or lacks something", c.ID)
		}
		seen[c.ID] = true
	}
}
