package daemon_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// testGpgsm looks people up with gpgsm, whose dirmngr asks the directory in its
// own way: without a bind, and with the line end of its configuration file in
// the base.
func (p *tour) testGpgsm(t *testing.T) {
	home, err := os.MkdirTemp("", "gpgsm") // its sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// dirmngr serves this home only, and ends with it.
		if out, err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").CombinedOutput(); err != nil {
			t.Errorf("ending dirmngr: %v\n%s", err, out)
		}
		os.RemoveAll(home)
	})
	host, port, _ := strings.Cut(p.Directory, ":")
	servers := fmt.Sprintf("%s:%s:::o=bridge\n", host, port)
	if err := os.WriteFile(filepath.Join(home, "dirmngr_ldapservers.conf"), []byte(servers), 0o600); err != nil {
		t.Fatal(err)
	}
	bob := user(t, p.beta)
	for _, asked := range []string{bob.Mail, "<" + bob.Mail + ">"} {
		out, code := run(t, "gpgsm", "--homedir", home, "--batch", "--list-external-keys", asked)
		if serial := fmt.Sprintf("%X", bob.Certificate.SerialNumber); code != 0 || !strings.Contains(out, serial) {
			t.Errorf("%s: exit %d, want the certificate %s in\n%s", asked, code, serial, out)
		}
	}
	if out, code := run(t, "gpgsm", "--homedir", home, "--batch", "--list-external-keys", "bob"); code == 0 || !strings.Contains(out, "No data") {
		t.Errorf("half an address: exit %d\n%s", code, out)
	}
}
