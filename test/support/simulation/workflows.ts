const RETRY = 'retry: { max: 2, backoff: 100ms, backoff-max: 500ms }'

/** Small workflows that use what the engine can do without a repository: steps, waits, timers, child runs. */
export const WORKFLOWS: readonly { readonly name: string; readonly text: string }[] = [
  {
    name: 'two-steps',
    text: `name: two-steps
version: 1
steps:
  - { id: make, kind: run, command: [make], ${RETRY} }
  - { id: test, kind: run, needs: make, command: [test], ${RETRY} }
`,
  },
  {
    name: 'approved',
    text: `name: approved
version: 1
steps:
  - { id: make, kind: run, command: [make], ${RETRY} }
  - { id: release, kind: approve, needs: make, prompt: Ship it? }
  - { id: ship, kind: run, needs: release, command: [ship], ${RETRY} }
`,
  },
  {
    name: 'side-by-side',
    text: `name: side-by-side
version: 1
steps:
  - { id: each, kind: run, for-each: [a, b], command: [each], ${RETRY} }
  - { id: settle, kind: wait, for: 1500ms }
  - { id: end, kind: run, needs: [each, settle], command: [end], ${RETRY} }
`,
  },
  {
    name: 'parent',
    text: `name: parent
version: 1
steps:
  - { id: child, kind: workflow, workflow: two-steps }
  - { id: after, kind: run, needs: child, command: [after], ${RETRY} }
`,
  },
]
