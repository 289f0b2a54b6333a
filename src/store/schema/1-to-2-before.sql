-- From schema 1 to 2, first part: the old tables step aside for those of tables.sql.
DROP INDEX documents_by_hash;
DROP INDEX sources_by_document;
DROP INDEX chunks_by_document;
DROP INDEX chunks_by_collection;
DROP INDEX jobs_by_state;
DROP INDEX job_targets_by_path;
ALTER TABLE collections RENAME TO old_collections;
ALTER TABLE documents RENAME TO old_documents;
ALTER TABLE sources RENAME TO old_sources;
ALTER TABLE tags RENAME TO old_tags;
ALTER TABLE pages RENAME TO old_pages;
ALTER TABLE chunks RENAME TO old_chunks;
ALTER TABLE vectors RENAME TO old_vectors;
ALTER TABLE tombstones RENAME TO old_tombstones;
ALTER TABLE jobs RENAME TO old_jobs;
ALTER TABLE job_targets RENAME TO old_job_targets;
