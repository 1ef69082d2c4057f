/* SPDX-License-Identifier: MIT
 * The schema of an account's file and every statement on it.
 *
 * A blob row is written once and never updated (an update would rewrite the content): how many
 * messages share it stands in shared, for those with more than one. WITHOUT ROWID: rows stand in order
 * of (folder, uid), so that SELECT reads them in one sweep. */
#include "lib/store/mailbox_int.h"

const struct db_step mailbox_steps[] = {
	{ "CREATE TABLE mailbox("
	  " one INTEGER PRIMARY KEY CHECK(one = 1),"
	  " account INTEGER NOT NULL,"
	  " epoch INTEGER NOT NULL,"		/* lease of the node that owns the account */
	  " next_folder INTEGER NOT NULL,"
	  " next_uidvalidity INTEGER NOT NULL);"
	  "CREATE TABLE folder("
	  " id INTEGER PRIMARY KEY,"
	  " name TEXT NOT NULL UNIQUE,"
	  " use INTEGER NOT NULL,"
	  " noselect INTEGER NOT NULL,"
	  " uidvalidity INTEGER NOT NULL,"
	  " uidnext INTEGER NOT NULL,"
	  " modseq INTEGER NOT NULL,"
	  " recent INTEGER NOT NULL,"		/* UIDs from here on are \Recent */
	  " messages INTEGER NOT NULL,"
	  " unseen INTEGER NOT NULL,"
	  " deleted INTEGER NOT NULL,"
	  " bytes INTEGER NOT NULL,"
	  " forgotten INTEGER NOT NULL);"	/* vanished is complete above this modseq */
	  "CREATE TABLE subscription(name TEXT PRIMARY KEY) WITHOUT ROWID;"
	  "CREATE TABLE keyword(folder INTEGER NOT NULL, n INTEGER NOT NULL, name TEXT NOT NULL,"
	  " PRIMARY KEY(folder, n)) WITHOUT ROWID;"
	  "CREATE TABLE blob("
	  " id INTEGER PRIMARY KEY,"
	  " size INTEGER NOT NULL,"
	  " codec INTEGER NOT NULL,"
	  " hash BLOB NOT NULL,"
	  " content BLOB NOT NULL);"
	  "CREATE TABLE chunk(blob INTEGER NOT NULL, n INTEGER NOT NULL, codec INTEGER NOT NULL,"
	  " data BLOB NOT NULL, PRIMARY KEY(blob, n));"
	  "CREATE TABLE shared(blob INTEGER PRIMARY KEY, refs INTEGER NOT NULL);"
	  "CREATE TABLE message("
	  " folder INTEGER NOT NULL,"
	  " uid INTEGER NOT NULL,"
	  " flags INTEGER NOT NULL,"
	  " size INTEGER NOT NULL,"
	  " modseq INTEGER NOT NULL,"
	  " date INTEGER NOT NULL,"
	  " blob INTEGER NOT NULL,"
	  " keywords BLOB,"
	  " PRIMARY KEY(folder, uid)) WITHOUT ROWID;"
	  "CREATE TABLE cache(blob INTEGER PRIMARY KEY, version INTEGER NOT NULL,"
	  " data BLOB NOT NULL);"
	  "CREATE TABLE delivered(id INTEGER PRIMARY KEY, uid INTEGER NOT NULL);"
	  "CREATE TABLE vanished(folder INTEGER NOT NULL, modseq INTEGER NOT NULL,"
	  " uid INTEGER NOT NULL, PRIMARY KEY(folder, modseq, uid)) WITHOUT ROWID" },
};
const size_t mailbox_nsteps = sizeof mailbox_steps / sizeof mailbox_steps[0];

#define FOLDER "SELECT id, name, use, noselect, uidvalidity, uidnext, modseq, recent, messages," \
	" unseen, deleted, bytes, EXISTS(SELECT 1 FROM subscription s WHERE s.name = folder.name)" \
	" FROM folder "
#define MESSAGES "SELECT uid, flags, size, modseq, date, keywords FROM message" \
	" WHERE folder=? AND uid>=? "

const char *const mailbox_sql[M_STATEMENTS] = {
	[M_ACCOUNT] = "SELECT account FROM mailbox",
	[M_NEW_FOLDER_ID] = "SELECT next_folder, next_uidvalidity FROM mailbox",
	[M_TAKE_FOLDER_ID] = "UPDATE mailbox SET next_folder=next_folder+1,"
	    " next_uidvalidity=next_uidvalidity+1",
	[M_FOLDERS] = FOLDER "ORDER BY CASE use WHEN 1 THEN 0 ELSE 1 END, name",
	[M_FOLDER_BY_NAME] = FOLDER "WHERE name=?",
	[M_FOLDER_BY_ID] = FOLDER "WHERE id=?",
	[M_ID_BY_NAME] = "SELECT id FROM folder WHERE name=? AND noselect=0",
	[M_ID_BY_USE] = "SELECT id FROM folder WHERE use=? AND noselect=0 ORDER BY id LIMIT 1",
	[M_RECENT_COUNT] = "SELECT count(*) FROM message WHERE folder=? AND uid>=?",
	[M_FOLDER_ADD] = "INSERT INTO folder VALUES(?,?,?,?,?,1,1,1,0,0,0,0,1)",
	[M_FOLDER_DROP] = "DELETE FROM folder WHERE id=?",
	[M_FOLDER_REVIVE] = "UPDATE folder SET noselect=0, uidvalidity=?2, uidnext=1, modseq=1,"
	    " recent=1, forgotten=1 WHERE id=?1",
	[M_FOLDER_HIDE] = "UPDATE folder SET noselect=1, use=0 WHERE id=?",
	[M_CHILD] = "SELECT id FROM folder WHERE name>?1||'/' AND name<?1||'0' LIMIT 1",
	[M_RENAME] = "UPDATE folder SET name=?2||substr(name, length(?1)+1)"
	    " WHERE name=?1 OR (name>?1||'/' AND name<?1||'0')",
	[M_LONGEST] = "SELECT max(length(CAST(name AS BLOB))) FROM folder",
	[M_FOLDER_COUNTS] = "UPDATE folder SET modseq=?2, uidnext=?3, messages=?4, unseen=?5,"
	    " deleted=?6, bytes=?7 WHERE id=?1",
	[M_FOLDER_RECENT] = "UPDATE folder SET recent=?2 WHERE id=?1",
	[M_SUB_ADD] = "INSERT INTO subscription VALUES(?) ON CONFLICT(name) DO NOTHING",
	[M_SUB_DROP] = "DELETE FROM subscription WHERE name=?",
	[M_SUBS] = "SELECT name FROM subscription ORDER BY name",
	[M_KEYWORDS] = "SELECT n, name FROM keyword WHERE folder=? ORDER BY n",
	[M_KEYWORD_ADD] = "INSERT INTO keyword VALUES(?,?,?)",
	[M_KEYWORDS_DROP] = "DELETE FROM keyword WHERE folder=?",
	[M_BLOB_ADD] = "INSERT INTO blob(size, codec, hash, content) VALUES(?,?,?,?)",
	[M_BLOB_GET] = "SELECT size, codec, hash, content FROM blob WHERE id=?",
	[M_BLOB_DROP] = "DELETE FROM blob WHERE id=?",
	[M_CHUNK_ADD] = "INSERT INTO chunk VALUES(?,?,?,?)",
	[M_CHUNKS] = "SELECT codec, data FROM chunk WHERE blob=? ORDER BY n",
	[M_CHUNKS_DROP] = "DELETE FROM chunk WHERE blob=?",
	[M_SHARED_GET] = "SELECT refs FROM shared WHERE blob=?",
	[M_SHARED_PUT] = "INSERT INTO shared VALUES(?1,?2) ON CONFLICT(blob)"
	    " DO UPDATE SET refs=?2",
	[M_SHARED_DROP] = "DELETE FROM shared WHERE blob=?",
	[M_MESSAGE_ADD] = "INSERT INTO message VALUES(?,?,?,?,?,?,?,?)",
	[M_MESSAGE_GET] = "SELECT flags, size, modseq, date, blob, keywords FROM message"
	    " WHERE folder=? AND uid=?",
	[M_MESSAGE_BLOB] = "SELECT blob FROM message WHERE folder=? AND uid=?",
	[M_MESSAGE_FLAG] = "UPDATE message SET flags=?3, keywords=?4, modseq=?5"
	    " WHERE folder=?1 AND uid=?2",
	[M_MESSAGE_DROP] = "DELETE FROM message WHERE folder=? AND uid=?",
	[M_MESSAGES] = MESSAGES "ORDER BY uid",
	[M_MESSAGES_SINCE] = MESSAGES "AND modseq>? ORDER BY uid",
	[M_DELETED] = "SELECT uid FROM message WHERE folder=? AND uid>=? AND flags&8<>0"
	    " ORDER BY uid LIMIT 500",
	[M_ALL_BLOBS] = "SELECT uid, blob FROM message WHERE folder=? ORDER BY uid LIMIT 500",
	[M_CACHE_GET] = "SELECT version, data FROM cache WHERE blob=?",
	[M_CACHE_PUT] = "INSERT INTO cache VALUES(?1,?2,?3) ON CONFLICT(blob)"
	    " DO UPDATE SET version=?2, data=?3",
	[M_CACHE_DROP] = "DELETE FROM cache WHERE blob=?",
	[M_DELIVERED_GET] = "SELECT uid FROM delivered WHERE id=?",
	[M_DELIVERED_ADD] = "INSERT INTO delivered VALUES(?,?)",
	[M_DELIVERED_PRUNE] = "DELETE FROM delivered WHERE id<?",
	[M_VANISHED] = "SELECT uid, modseq FROM vanished WHERE folder=? AND modseq>?"
	    " ORDER BY modseq, uid",
	[M_VANISHED_ADD] = "INSERT INTO vanished VALUES(?,?,?)",
	[M_VANISHED_DROP] = "DELETE FROM vanished WHERE folder=?",
	[M_VANISHED_FLOOR] = "SELECT forgotten FROM folder WHERE id=?",
	[M_RECOUNT] = "SELECT count(*) FROM folder f WHERE messages<>(SELECT count(*) FROM message"
	    " WHERE folder=f.id) OR unseen<>(SELECT count(*) FROM message WHERE folder=f.id AND"
	    " flags&1=0) OR deleted<>(SELECT count(*) FROM message WHERE folder=f.id AND"
	    " flags&8<>0) OR bytes<>(SELECT coalesce(sum(size),0) FROM message WHERE folder=f.id)"
	    " OR uidnext<=(SELECT coalesce(max(uid),0) FROM message WHERE folder=f.id)"
	    " OR modseq<(SELECT coalesce(max(modseq),0) FROM message WHERE folder=f.id)",
	[M_VERIFY] = "SELECT b.id, count(m.uid), coalesce((SELECT refs FROM shared"
	    " WHERE blob=b.id),1) FROM blob b LEFT JOIN message m ON m.blob=b.id GROUP BY b.id",
};
