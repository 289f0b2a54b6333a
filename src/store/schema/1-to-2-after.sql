-- From schema 1 to 2, second part: rows move over, which gives each its checksum. Ids stay, and none
-- that was used before is used again.
INSERT INTO collections (id, name, uid, model, fingerprint, dimension, generation, created_at)
    SELECT id, name, uid, model, fingerprint, dimension, generation, created_at FROM old_collections;
INSERT INTO documents (id, collection_id, hash, service, parser, title, size, pages, chunks, created_at)
    SELECT id, collection_id, hash, service, parser, title, size,
    (SELECT count(*) FROM old_pages p WHERE p.document_id = d.id),
    (SELECT count(*) FROM old_chunks k WHERE k.document_id = d.id), created_at
    FROM old_documents d;
INSERT INTO sources (collection_id, path, file, root, size, modified, document_id)
    SELECT collection_id, path, file, root, size, modified, document_id FROM old_sources;
INSERT INTO tags (document_id, key, value)
    SELECT document_id, key, value FROM old_tags;
INSERT INTO pages (document_id, number, verdict, text)
    SELECT document_id, number, verdict, text FROM old_pages;
INSERT INTO chunks (id, collection_id, document_id, page, start, end)
    SELECT id, collection_id, document_id, page, start, end FROM old_chunks;
INSERT INTO vectors (chunk_id, vector)
    SELECT chunk_id, vector FROM old_vectors;
INSERT INTO tombstones (chunk_id, collection_id)
    SELECT chunk_id, collection_id FROM old_tombstones;
INSERT INTO jobs (id, service, hash, state, remote_id, attempts, error, size, pages, created_at, updated_at)
    SELECT id, service, hash, state, remote_id, attempts, error, size, pages, created_at, updated_at FROM old_jobs;
INSERT INTO job_targets (job_id, collection, path, target)
    SELECT job_id, collection, path, target FROM old_job_targets;
DELETE FROM sqlite_sequence WHERE name IN ('collections', 'documents', 'chunks');
UPDATE sqlite_sequence SET name = substr(name, 5) WHERE name LIKE 'old\_%' ESCAPE '\';
DROP TABLE old_job_targets;
DROP TABLE old_jobs;
DROP TABLE old_tombstones;
DROP TABLE old_vectors;
DROP TABLE old_chunks;
DROP TABLE old_pages;
DROP TABLE old_tags;
DROP TABLE old_sources;
DROP TABLE old_documents;
DROP TABLE old_collections;
