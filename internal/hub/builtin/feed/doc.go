// Package feed follows a bucket of vulnerability records that is laid out as OSV's own: <ecosystem>/all.zip has all records of an
// ecosystem, <ecosystem>/modified_id.csv names every record with the time of its last change, and <ecosystem>/<id>.json is
// one record. It decides what to fetch next and fetches it. Everything that it fetches is hostile, and it stores nothing.
package feed
