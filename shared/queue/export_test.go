package queue

// Records is the bucket of job records, for what a newer or a foreign program writes.
func (q *Queue) Records() *Bucket { return q.records }
