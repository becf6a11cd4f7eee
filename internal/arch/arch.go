// Package arch is the plan of the house as data: which row each package
// stands in, and where each technology may be used. Its test holds the code to
// it. A package imports only from lower rows.
package arch

// Row is one floor of the house; a package belongs to the first entry of Rows
// whose pattern fits.
type Row struct {
	Number   int
	Patterns []string // path below the module; "/..." matches everything under it
}

// Rows is the house, bottom to top.
var Rows = []Row{
	{0, []string{"internal/fault"}},
	{1, []string{"internal/wire/...", "internal/outbound", "api/proto", "api/client"}},
	{2, []string{"internal/engine/..."}},
	{3, []string{"membership", "crosscert", "signedlist", "vdir", "vocsp", "internal/notice"}},
	{4, []string{"internal/federation", "internal/people", "internal/checkup", "internal/subscription", "api/convert"}},
	{5, []string{"internal/edge/...", "internal/setup/..."}},
	{6, []string{"internal/daemon", "internal/ceremony"}},
	{7, []string{"cmd/..."}},
	// Beside the house: they may import anything, and only tests and the
	// places named in Technologies import them.
	{8, []string{"internal/lab", "internal/storetest", "internal/arch", "internal/pathbench"}},
}

// Technology is something that must stay where it is, so that replacing it
// changes one room.
type Technology struct {
	Import string   // path or prefix with "/..."
	In     []string // patterns of packages whose code, apart from tests, may import it
}

// Technologies pins each technology to its edge.
var Technologies = []Technology{
	{"github.com/go-ldap/ldap/...", []string{"internal/checkup", "internal/lab", "cmd/bridgectl"}},
	{"github.com/vjeantet/ldapserver", []string{"internal/lab"}},
	{"github.com/lor00x/goldap/...", []string{"internal/lab"}},
	{"golang.org/x/crypto/ocsp", []string{"internal/lab"}},
	{"go.etcd.io/bbolt/...", []string{"internal/edge/boltstore"}},
	{"google.golang.org/grpc/...", []string{"internal/edge/adminapi", "api/...", "internal/daemon", "cmd/..."}},
	{"google.golang.org/protobuf/...", []string{"internal/edge/adminapi", "api/...", "cmd/..."}},
	{"github.com/zmap/...", []string{"crosscert"}},
	{"github.com/spf13/cobra", []string{"cmd/..."}},
	{"github.com/ThalesGroup/crypto11", []string{"internal/setup/keys"}},
	{"github.com/miekg/pkcs11", []string{"internal/setup/keys"}},
	{"golang.org/x/term", []string{"cmd/..."}},
	{"software.sslmate.com/...", []string{"signedlist"}},
	{"github.com/goccy/go-yaml/...", []string{"internal/setup/config", "cmd/bridgectl"}},
	{"bridge.example/internal/lab", []string{"cmd/bridged"}},
	{"bridge.example/internal/storetest", nil},
	{"bridge.example/internal/arch", nil},
	{"bridge.example/internal/pathbench", nil},
}

// OfflineRow and every row below it is what cmd/bridgectl may import: the tool
// works without a daemon and on machines that never run one.
const OfflineRow = 3

// OfflineBeside is what it may import besides: an applicant runs the bridge's
// own examination before applying, and a relying party subscribes to the list.
var OfflineBeside = []string{"api/...", "internal/checkup", "internal/subscription"}
