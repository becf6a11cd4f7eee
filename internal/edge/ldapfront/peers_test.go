package ldapfront_test

import (
	"context"
	"encoding/base64"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"bridge.example/internal/edge/ldapfront"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

// byMail answers (mail=bob@beta.example) and refuses substrings.
func byMail(_ context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
	switch {
	case q.Filter.Op == ldap.Substrings:
		return vdir.Outcome{}, vdir.ErrUnwilling
	case q.Filter.Op == ldap.Equality && string(q.Filter.Value) == "bob@beta.example":
		return vdir.Outcome{}, yield(bob)
	}
	return vdir.Outcome{}, nil
}

// An LDAP client that nobody here wrote.
func TestGoLDAP(t *testing.T) {
	server, trusting := serverTLS(t)
	f := start(t, byMail, ldapfront.Options{TLS: server})
	c, err := goldap.DialURL("ldap://" + f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetTimeout(10 * time.Second)
	if err := c.StartTLS(trusting); err != nil {
		t.Fatalf("StartTLS: %v", err)
	}
	if err := c.UnauthenticatedBind(""); err != nil {
		t.Fatalf("anonymous bind: %v", err)
	}
	request := goldap.NewSearchRequest("o=bridge", goldap.ScopeWholeSubtree, goldap.DerefAlways, 10, 10, false,
		"(mail=bob@beta.example)", []string{"userCertificate;binary"}, []goldap.Control{goldap.NewControlManageDsaIT(true)})
	for name, find := range map[string]func() (*goldap.SearchResult, error){
		"plain": func() (*goldap.SearchResult, error) { return c.Search(request) },
		"paged": func() (*goldap.SearchResult, error) { return c.SearchWithPaging(request, 1) },
	} {
		got, err := find()
		if err != nil || len(got.Entries) != 1 {
			t.Fatalf("%s search: got %+v, %v; want one entry", name, got, err)
		}
		want := string(bob.Attributes[1].Values[0])
		if e := got.Entries[0]; e.DN != bob.DN || e.GetAttributeValue("userCertificate;binary") != want {
			t.Errorf("%s search: got %+v", name, e)
		}
	}
	if who, err := c.WhoAmI(nil); err != nil || who.AuthzID != "" {
		t.Errorf("who am I: got %+v, %v; want nobody", who, err)
	}
	for name, tt := range map[string]struct {
		err  error
		code uint16
	}{
		"bind":     {c.Bind("cn=a", "secret"), goldap.LDAPResultInvalidCredentials},
		"external": {c.ExternalBind(), goldap.LDAPResultAuthMethodNotSupported},
		"add":      {c.Add(goldap.NewAddRequest("cn=a,o=bridge", nil)), goldap.LDAPResultUnwillingToPerform},
		"delete":   {c.Del(goldap.NewDelRequest("cn=a,o=bridge", nil)), goldap.LDAPResultUnwillingToPerform},
		"rename":   {c.ModifyDN(goldap.NewModifyDNRequest("cn=a", "cn=b", true, "")), goldap.LDAPResultUnwillingToPerform},
	} {
		if !goldap.IsErrorWithCode(tt.err, tt.code) {
			t.Errorf("%s: got %v, want code %d", name, tt.err, tt.code)
		}
	}
}

// run runs an OpenLDAP program and returns its exit code and all its output.
func run(t *testing.T, name string, args ...string) (code int, output string) {
	t.Helper()
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LDAPNOINIT=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || !cmd.ProcessState.Exited() {
		t.Fatalf("%s: %v", name, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestOpenLDAPClients(t *testing.T) {
	f := start(t, byMail, ldapfront.Options{LDAPv2: true})
	url := "ldap://" + f.addr
	certificate := base64.StdEncoding.EncodeToString(bob.Attributes[1].Values[0])
	tests := map[string]struct {
		command string
		code    int
		want    string
	}{
		"search":               {"ldapsearch -x -LLL -o ldif-wrap=no -b o=bridge (mail=bob@beta.example) userCertificate;binary", 0, "userCertificate;binary:: " + certificate},
		"nobody":               {"ldapsearch -x -b o=bridge (mail=nobody@beta.example)", 0, "result: 0 Success"},
		"version 2":            {"ldapsearch -x -P 2 -LLL -b o=bridge (mail=bob@beta.example)", 0, "dn: mail=bob@beta.example,o=bridge"},
		"wildcard":             {"ldapsearch -x -b o=bridge (mail=bob*)", 53, "ask for complete mail addresses"},
		"paged, critical":      {"ldapsearch -x -LLL -E !pr=100/noprompt -b o=bridge (mail=bob@beta.example)", 0, "dn: mail=bob@beta.example,o=bridge"},
		"manage DSA IT":        {"ldapsearch -x -MM -LLL -b o=bridge (mail=bob@beta.example)", 0, "dn: mail=bob@beta.example,o=bridge"},
		"assertion, critical":  {"ldapsearch -x -e !assert=(cn=a) -b o=bridge (mail=bob@beta.example)", 12, "Critical extension is unavailable"},
		"password":             {"ldapsearch -x -D cn=a -w secret -b o=bridge (cn=a)", 49, "Invalid credentials"},
		"StartTLS not offered": {"ldapsearch -x -ZZ -b o=bridge (cn=a)", 1, "ldap_start_tls"},
		"who am I":             {"ldapwhoami -x", 0, "anonymous"},
		"compare":              {"ldapcompare -x cn=a,o=bridge cn:a", 53, "only answers searches"},
		"delete":               {"ldapdelete -x cn=a,o=bridge", 53, "only answers searches"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			args := strings.Fields(tt.command)
			code, out := run(t, args[0], append([]string{"-H", url}, args[1:]...)...)
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("%s: got exit code %d and\n%s\nwant %d and %s", tt.command, code, out, tt.code, tt.want)
			}
		})
	}
}
