package subscription

// OnStep has f called before each change to the disk.
func (s *Subscription) OnStep(f func()) { s.step = f }
