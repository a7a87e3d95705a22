import type { Command } from 'commander'
import { formatSince } from '../format.ts'
import type { Act } from '../program.ts'
import { showList } from '../show-list.ts'

export function configure(command: Command, act: Act): void {
  command.option('--all', 'those of single runs too').action(
    act<{ all?: boolean }>(async (context, _args, { all }) => {
      const client = await context.connect()
      const { items } = await client.tokens.list(context)
      const rows = items.filter(({ runId }) => all === true || runId === null)
      showList(context, {
        rows,
        json: { items: rows },
        id: ({ id }) => id,
        columns: [
          { title: 'TOKEN', value: ({ id }) => id },
          { title: 'NAME', value: ({ name }) => name, isFlexible: true },
          { title: 'SCOPES', value: ({ scopes }) => scopes.join(',') },
          { title: 'STATE', value: toState },
          { title: 'EXPIRES', value: ({ expiresAt }) => expiresAt ?? 'never' },
          { title: 'USED', value: ({ lastUsedAt }) => formatSince(lastUsedAt, Date.now()) },
        ],
        emptyHint: 'no tokens; create one: swarm token create ci --scope tickets',
      })
    }),
  )
}

function toState({ revokedAt, expiresAt }: { revokedAt: string | null; expiresAt: string | null }): string {
  if (revokedAt !== null) return 'revoked'
  return expiresAt !== null && Date.parse(expiresAt) <= Date.now() ? 'expired' : 'valid'
}
