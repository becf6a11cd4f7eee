package main
import ("testing";"time";"math/rand/v2")
func BenchmarkX(b *testing.B){
 at:=time.Now(); d:=newDrawing(at); g,ms:=d.mesh(1000,3); g.pairs=sample(ms,5000,rand.New(rand.NewPCG(1,1)))
 v,_:=newViews(g); pool:=v.pool(g)
 for _,p:=range g.pairs { if err:=v.build(b.Context(),pool,p,at);err!=nil{b.Fatal(err)} }
 b.ReportAllocs(); i:=0
 for b.Loop(){ v.build(b.Context(),pool,g.pairs[i%len(g.pairs)],at); i++ }
}
