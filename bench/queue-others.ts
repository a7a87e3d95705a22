import { DatabaseSync } from 'node:sqlite'
import type { ProjectId } from '../src/domain/id.ts'
import type { Store } from '../src/store/contract.ts'

/** Behind every measured ticket, which has 1 */
export const OTHERS_PRIORITY = 4

/**
 * Makes one ticket through the store and copies its row in one statement: thousands of transactions would take
 * longer than everything that is measured. The store is closed meanwhile.
 * @param notBefore instant before which none of them may be claimed; 0: they may at once
 */
export async function queueOthers(input: {
  path: string
  open(): Promise<Store>
  projectId: ProjectId
  count: number
  notBefore: number
}): Promise<void> {
  const { projectId, notBefore, count } = input
  if (count === 0) return
  const store = await input.open()
  const title = 'one of many that wait'
  await store.write.createTicket({ projectId, title, priority: OTHERS_PRIORITY, notBefore, actor: 'bench' })
  await store.close()
  copyRows(input.path, count - 1)
}

function copyRows(path: string, count: number): void {
  const db = new DatabaseSync(path)
  try {
    const columns = db.prepare("select name from pragma_table_info('tickets')").all()
    const own: Record<string, string> = { id: "id || '_' || i", key: "key || '_' || i", number: 'number + i' }
    const names = columns.map(({ name }) => String(name))
    db.exec(`
      begin;
      with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})
      insert into tickets (${names.join(', ')})
      select ${names.map((name) => own[name] ?? name).join(', ')} from tickets, n where i <= ${count};
      update projects set ticket_count = ticket_count + ${count};
      commit;
    `)
  } finally {
    db.close()
  }
}
