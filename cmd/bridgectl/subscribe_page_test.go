package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSubscribePage runs the commands of docs/subscribe.md, in their order.
func TestSubscribePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/subscribe.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	lists := filepath.Join(dir, "lists")
	writeLists(t, lists)
	for from, to := range map[string]string{"now-1.p7s": "list.p7s", "bridge-ca.pem": "../bridge-ca.pem", "beta.pem": "../beta-root.pem", "now-1.pem": "../anchors.pem"} {
		if err := os.Rename(filepath.Join(lists, from), filepath.Join(lists, to)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "etc", "ssl"), 0o700); err != nil {
		t.Fatal(err)
	}
	repository := httptest.NewServer(http.FileServer(http.Dir(lists)))
	defer repository.Close()
	t.Chdir(dir)
	places := strings.NewReplacer("https://bridge.example", repository.URL, "/var/lib/", dir+"/", "/etc/", dir+"/etc/")
	commands := regexp.MustCompile(`(?m)^    (bridgectl|openssl) (.*)$`).FindAllStringSubmatch(string(page), -1)
	if len(commands) < 9 {
		t.Fatalf("found %d commands", len(commands))
	}
	for _, c := range commands {
		args := strings.Fields(places.Replace(c[2]))
		if c[1] == "openssl" {
			if os.Getenv("BRIDGE_PEERS") == "1" {
				if out, err := exec.Command(c[1], args...).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", c[0], err, out)
				}
			}
			continue
		}
		var out, errs bytes.Buffer
		tool := newTool()
		tool.out, tool.err = &out, &errs
		if code := tool.execute(args); code != 0 {
			t.Errorf("%s: exit %d\n%s%s", c[0], code, &out, &errs)
		}
	}
}
