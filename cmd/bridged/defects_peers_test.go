package main_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bridge.example/internal/checkup"
)

// defect is one thing wrong with the organisation of docs/tutorial.md: what
// plants it in testdata/defects.sh's words, the check that has to fail, and what
// the fix says.
type defect struct{ name, plant, check, fix string }

// refused stands for a check where there is none: an application that cannot be
// right is not examined, and the error says why.
const refused = "refused"

var defects = []defect{
	{"nothing", `:`, "", ""},

	{"a certificate of version 1", `openssl x509 -req -in case/issuing.csr -CA alpha/root.pem -CAkey alpha/root.key -out case/issuing.pem`, refused, "not an X.509v3 certificate"},
	{"an RSA key of 1024 bits", `certify "" -force_pubkey alpha/short.pub`, "C2", "new CA key"},
	{"a curve of 224 bits", `certify "" -force_pubkey alpha/curve.pub`, "C2", "P-256"},
	{"an even exponent", `certify "" -force_pubkey "$KEYS/even.pub"`, "C3", "new one"},
	{"the exponent 1", `certify "" -force_pubkey "$KEYS/one.pub"`, "C3", "new one"},
	{"a small factor", `certify "" -force_pubkey "$KEYS/factor.pub"`, "C3", "new one"},
	{"close primes", `certify "" -force_pubkey "$KEYS/close.pub"`, "C3", "new one"},
	{"no CA", `certify s/CA:true,.*/CA:false/`, refused, "not a CA certificate"},
	{"no keyCertSign", `certify s/keyCertSign,//`, refused, "may not sign certificates"},
	{"no cRLSign", `certify s/,.cRLSign//`, "C4", "cRLSign"},
	{"no key identifier", `certify "s/^subjectKeyIdentifier.*/subjectKeyIdentifier = none/"`, "C4", "subjectKeyIdentifier"},
	{"an issuer that is not declared", `cp alpha/stranger.pem case/root.pem`, "C5", "issued this one"},
	{"an intermediate that signs itself", `cp alpha/stranger.pem case/issuing.pem`, "C5", "CA certificate"},
	{"signed with SHA-1", `certify "" -sha1`, "C6", "SHA-256"},
	{"signed with MD5", `openssl req -x509 -new -config "$CONFIG" -extensions root-certificate -md5 -key alpha/stranger.key -subj "/CN=Alpha Root" -days 3650 -out case/root.pem`, "C6", "SHA-256"},
	{"a hundred days left", `certify "" -days 100`, "C7", "Renew"},
	{"expired", `openssl ca -batch -notext -config "$CONFIG" -name root -extensions issuing-certificate -in case/issuing.csr -startdate 20230101000000Z -enddate 20240101000000Z -out case/issuing.pem`, "C7", "Renew"},
	{"a policy that nobody issues under", `application s/32473.2.1/32473.2.7/`, "C11", "policies"},
	{"no policies", `certify /certificatePolicies/d`, "C11", "policies"},
	{"a mapping to anyPolicy", `certify '2s/^/policyMappings = 1.3.6.1.4.1.32473.2.1:2.5.29.32.0\n/'`, "C11", "Map policies"},
	{"a critical extension of its own", `certify '2s/^/1.2.3.4 = critical, DER:0500\n/'`, "C12", "extension"},

	{"one of two directories is down", `application "s,^directories:,&\n  - {url: \"ldap://$CLOSED\"\, base: \"o=Alpha\,c=DE\"\, dialect: inetOrgPerson},"`, "D1", "Open the port"},
	{"a directory whose name is not known", `application "s,ldap://$LDAP,ldap://nowhere.alpha.example,"`, "D1", "Open the port"},
	{"anonymous questions are refused", `application "s,$LDAP\",$STRICT\","`, "D2", "accept the bind"},
	{"a password, and TLS of a stranger", `application "s,$LDAP\",$STRICT\",; s/start_tls/bind_dn: cn=bridge, credential: secret, &/"`, "D2", "TLS certificate that verifies"},
	{"a wrong password", `application 's/start_tls/bind_dn: "cn=Alice,o=Alpha,c=DE", credential: secret, &/'`, "D2", "password"},
	{"a dialect that nobody speaks", `application s/inetOrgPerson/notes/`, "D2", "inetOrgPerson"},
	{"a mailbox that is not there", `mailbox nobody`, "D4", "base"},
	{"a base that is not there", `application 's/base: "o=Alpha/base: "o=Beta/'`, "D4", "base"},
	{"an entry without a certificate", `mailbox bare`, "D4", "userCertificate"},
	{"a certificate for another address", `mailbox elsewhere`, "D5", "certificate"},
	{"an expired certificate", `mailbox expired`, "D5", "current"},
	{"a certificate for signing only", `mailbox signer`, "D5", "encryption"},
	{"a certificate of another CA", `mailbox fake`, "D5", "your own CA"},
	{"a domain without proof", `application '/^mail_domains/s/]/, beta.example]/'`, "D9", "_bridge-challenge"},
	{"the proof of other anchors", `sed -i s/challenge=./challenge=0/ alpha/zone`, "D9", "_bridge-challenge"},
	{"a referral inside", `mailbox right; application s/ou=people,//`, "D10", "referrals"},
	{"a private address", `application "s,ldap://$LDAP,ldap://10.0.0.1,"`, "D10", "public address"},

	{"no CRL there", `rm alpha/web/issuing.crl`, "V1", "status 200"},
	{"no CRL declared", `application '/issuing.crl/d'`, "V1", "Declare under crl"},
	{"nothing listens for the CRL", `application "s,http://$WEB/issuing,http://$CLOSED/issuing,"`, "V1", "URL"},
	{"a CRL at a private address", `application "s,http://$WEB/issuing,http://192.168.1.1/issuing,"`, "V1", "reachable for everybody"},
	{"a redirect inside", `application "s,http://$WEB/issuing,$REDIRECT/issuing,"`, "V1", "reachable for everybody"},
	{"a page in place of a CRL", `echo '<html>' > alpha/web/issuing.crl`, "V2", "complete"},
	{"a CRL of 65 MiB", `printf '\060\204\004\020\000\000\060\204\004\017\000\000' > alpha/web/issuing.crl; truncate -s 65M alpha/web/issuing.crl`, "V2", "CRL"},
	{"an expired CRL", `crl -crl_lastupdate 20240101000000Z -crl_nextupdate 20240102000000Z`, "V2", "replaced in time"},
	{"a CRL of a stranger", `crl -cert alpha/stranger.pem -keyfile alpha/stranger.key`, "V2", "CRL of this CA"},
	{"the CRL of another CA", `cp alpha/web/root.crl alpha/web/issuing.crl`, "V2", "CRL of this CA"},
	{"a CRL without a number", `sed /crl_extensions/d "$CONFIG" > case/plain.cnf; sed -i s/^crlnumber/#/ case/plain.cnf; crl -config case/plain.cnf`, "V2", "number"},
	{"a CRL cut short", `truncate -s -20 alpha/web/issuing.crl`, "V2", "complete"},
	{"the revoked one is not listed", `: > case/issuing.index; sed s,alpha/issuing.index,case/issuing.index, "$CONFIG" > case/empty.cnf; crl -config case/empty.cnf`, "V3", "own records"},

	{"no responder there", `application "s,http://$STATUS/,http://$CLOSED/,"`, "V4", "responder"},
	{"no test serials", `application /test_serials/d`, "V4", "test_serials"},
	{"the revoked one is good", `sed -i '/^R/s/^R\t\([^\t]*\)\t[^\t]*/V\t\1\t/' case/issuing.index; responder -nmin 60 -index case/issuing.index`, "V4", "responder"},
	{"an unused number is good", `application "s/revoked:/unused: \"$(serial signer)\", &/"`, "V4", "issued"},
	{"the responder of another CA", `responder -nmin 60 -CA alpha/root.pem -index alpha/root.index`, "V4", "responder"},
	{"a stranger signs", `responder -nmin 60 -rsigner alpha/stranger.pem -rkey alpha/stranger.key`, "V5", "OCSP signing"},
	{"a delegate without the right to", `responder -nmin 60 -rsigner alpha/alice.pem -rkey alpha/alice.key`, "V5", "OCSP signing"},
	{"the CRL lists a good one", `sed s,alpha/issuing.index,case/issuing.index, "$CONFIG" > case/more.cnf; openssl ca -config case/more.cnf -name issuing -revoke alpha/alice.pem; crl -config case/more.cnf`, "V7", "same records"},

	{"a level that the bridge does not have", `application s/32473.1.1,/32473.1.9,/; amend`, refused, "is no level of this bridge"},
	{"another member's mail domain", `application "s/^id: .*/id: beta/"; apply`, refused, `mail_domains: "alpha.example" belongs to member "alpha"`},
	{"another member's key", `application "s/^id: .*/id: beta/; s/@alpha/@beta/; s/^mail_domains.*/mail_domains: [beta.example]/"; apply`, refused, `belongs to member "alpha"`},
}

// TestPlantedDefects plants one defect after another in the organisation of
// docs/tutorial.md, with its real directory, responder and web server, and has
// it examined.
func TestPlantedDefects(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	words, err := os.ReadFile(filepath.Join("testdata", "defects.sh"))
	if err != nil {
		t.Fatal(err)
	}
	inside := httptest.NewServer(http.RedirectHandler("http://10.0.0.1/inside", http.StatusFound))
	defer inside.Close()
	var commands []string
	for _, b := range readTutorial(t, "6.") {
		commands = append(commands, b.commands)
	}
	commands = append(commands, string(words))
	before := len(commands)
	for _, d := range defects {
		commands = append(commands, "examine '"+strings.ReplaceAll(d.plant, "'", `'\''`)+"'\n")
	}
	printed, err := paste(t, commands, "KEYS="+weakKeys(t), "REDIRECT="+inside.URL)
	if err != nil || len(printed) != len(commands) {
		t.Fatalf("%v after\n%s\n%s", err, commands[len(printed)-1], printed[len(printed)-1])
	}
	for i, d := range defects {
		t.Run(d.name, func(t *testing.T) { d.stopped(t, printed[before+i]) })
	}
}

// stopped holds what examine printed against what was to come.
func (d defect) stopped(t *testing.T, printed string) {
	codes, answer, _ := strings.Cut(printed, "\n")
	var r struct {
		checkup.Report
		Error struct{ Message string }
	}
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		t.Fatalf("planting and examining end with %s; %v in\n%s", codes, err, answer)
	}
	want := "0 7"
	switch {
	case d.check == "":
		want = "0 0"
	case d.check == refused && strings.HasSuffix(d.plant, "apply"):
		want = "0 4" // what is another's
	case d.check == refused:
		want = "0 2"
	}
	if codes != want {
		t.Fatalf("planting and examining end with %s, want %s, and\n%s", codes, want, answer)
	}
	found := d.check == "" || d.check == refused && strings.Contains(r.Error.Message, d.fix)
	for _, f := range r.Findings {
		if f.Verdict != checkup.Fail {
			continue
		}
		t.Logf("%s %s %q %s", f.ID, f.Subject, f.Evidence, f.Fix)
		found = found || f.ID == d.check && strings.Contains(f.Fix, d.fix)
	}
	if !found {
		t.Errorf("%s does not fail with a fix that says %q", d.check, d.fix)
	}
}

// weakKeys are public keys that no program makes, in files of a directory.
func weakKeys(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	prime := func() *big.Int {
		p, err := rand.Prime(rand.Reader, 1024)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, q := prime(), prime()
	next := new(big.Int).Add(p, big.NewInt(2))
	for !next.ProbablyPrime(20) {
		next.Add(next, big.NewInt(2))
	}
	product := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	for name, key := range map[string]*rsa.PublicKey{
		"even": {N: product(p, q), E: 65536}, "one": {N: product(p, q), E: 1},
		"close": {N: product(p, next), E: 65537}, "factor": {N: product(product(p, q), big.NewInt(751)), E: 65537},
	} {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
