import { renameSync } from 'node:fs'
import type { SQLInputValue } from 'node:sqlite'
import type { Tracker } from '../../src/tracker/contract.ts'
import { createFakeBoard, createFakeTracker } from '../../src/tracker/fake/create-fake-tracker.ts'
import { makeForeignDatabase, TICKETS_TABLE } from '../support/foreign-database.ts'
import { describeTracker, type SceneTicket, type TrackerScene } from './tracker-suite.ts'

/** A view over two tables of other names, as a program may have grown it. */
const VIEW = `
  create table items (nr integer primary key, key text unique not null, name text not null, text text, kind text,
    urgency int, tags text, who text, made real, result text, error text, branch text, pull_request text);
  create table states (nr integer primary key references items(nr), word text not null);
  create view tickets as
    select i.key as id, i.name as title, i.text as description, s.word as status, i.kind as type,
      i.urgency as priority, i.tags as labels, i.who as claimed_by, i.made as created_at, i.result, i.error,
      i.branch, i.pull_request
    from items as i join states as s using (nr);
  create trigger insert_ticket instead of insert on tickets begin
    insert into items (key, name, text, kind, urgency, tags, who, made)
      values (new.id, new.title, new.description, new.type, new.priority, new.labels, new.claimed_by, new.created_at);
    insert into states select nr, new.status from items where key = new.id;
  end;
  create trigger update_ticket instead of update on tickets begin
    update items set who = new.claimed_by, result = new.result, error = new.error, branch = new.branch,
      pull_request = new.pull_request where key = old.id;
    update states set word = new.status where nr = (select nr from items where key = old.id);
  end;
  create trigger delete_ticket instead of delete on tickets begin
    delete from states where nr = (select nr from items where key = old.id);
    delete from items where key = old.id;
  end;`

async function openSqliteScene(
  schema: string,
  options: Parameters<typeof makeForeignDatabase>[1],
): Promise<TrackerScene> {
  const database = await makeForeignDatabase(schema, options)
  const away = `${database.path}.away`
  const insert = ({
    externalId,
    title = 'Ticket',
    word = 'pending',
    ...more
  }: SceneTicket): SQLInputValue[] => [
    externalId,
    title,
    more.body ?? null,
    word,
    more.type ?? null,
    more.priority ?? null,
    more.labels === undefined ? null : JSON.stringify(more.labels),
    more.by ?? null,
    more.createdAt ?? null,
  ]
  return {
    tracker: database.track(),
    another: () => database.track(),
    put: (...tickets) =>
      database.owner((owner) => {
        const statement = owner.prepare(
          `insert into tickets (id, title, description, status, type, priority, labels, claimed_by, created_at)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        owner.exec('begin immediate')
        for (const ticket of tickets) statement.run(...insert(ticket))
        owner.exec('commit')
      }),
    change: (externalId, { word, by }) =>
      database.owner((owner) => {
        if (word !== undefined)
          owner.prepare('update tickets set status = ? where id = ?').run(word, externalId)
        if (by !== undefined)
          owner.prepare('update tickets set claimed_by = ? where id = ?').run(by, externalId)
      }),
    remove: (externalId) =>
      void database.owner((owner) => owner.prepare('delete from tickets where id = ?').run(externalId)),
    read: (externalId) => {
      const [row] = database.rows(
        `select status as word, claimed_by as by, result, error, branch, pull_request as pullRequest
         from tickets where id = ?`,
        externalId,
      )
      return row as ReturnType<TrackerScene['read']>
    },
    breakDown: () => renameSync(database.path, away),
    repair: () => renameSync(away, database.path),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  }
}

async function openFakeScene(): Promise<TrackerScene> {
  const board = createFakeBoard()
  const trackers: Tracker[] = []
  const another = () => {
    const tracker = createFakeTracker({ name: 'legacy', board })
    trackers.push(tracker)
    return tracker
  }
  return {
    tracker: another(),
    another,
    put: (...tickets) => {
      for (const ticket of tickets) board.put({ title: 'Ticket', ...ticket })
    },
    change: (externalId, change) => {
      const ticket = board.find(externalId)
      if (ticket !== undefined) board.put({ ...ticket, ...change })
    },
    remove: (externalId) => board.remove(externalId),
    read: (externalId) => {
      const ticket = board.find(externalId)
      if (ticket === undefined) return undefined
      return {
        word: ticket.word ?? 'pending',
        by: ticket.by ?? null,
        result: ticket.result == null ? null : JSON.stringify(ticket.result),
        error: ticket.error ?? null,
        branch: ticket.branch ?? null,
        pullRequest: ticket.pullRequest ?? null,
      }
    },
    breakDown: () => {
      board.isReachable = false
    },
    repair: () => {
      board.isReachable = true
    },
    async [Symbol.asyncDispose]() {
      for (const tracker of trackers) await tracker.close()
    },
  }
}

describeTracker({ name: 'fake', open: openFakeScene })
describeTracker({
  name: 'sqlite-table, rollback journal',
  open: () => openSqliteScene(TICKETS_TABLE, { journal: 'delete' }),
})
describeTracker({
  name: 'sqlite-table, write-ahead log',
  open: () => openSqliteScene(TICKETS_TABLE, { journal: 'wal' }),
})
describeTracker({ name: 'sqlite-table, a view', open: () => openSqliteScene(VIEW, { journal: 'delete' }) })
