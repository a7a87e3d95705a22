import type { SwarmClient } from '../../../client/client.ts'

export const PROJECT_KEY = 'DEMO'

/** Said to the model with the ticket, so it tells the scripted model which script to play. */
export const REPAIR_TITLE = 'The cart forgets how many there are of each item'

const CHECK_WORKFLOW = `name: demo-check
version: 1
description: Runs the tests on the default branch.
steps:
  - id: test
    kind: run
    command: [node, --test]
`

const FLAKY_WORKFLOW = `name: demo-flaky
version: 1
description: Fails each time, to show retries and dead letters.
steps:
  - id: call
    kind: run
    command: [node, -e, 'console.error("the service is away"); process.exitCode = 3']
    retry: { max: 2, backoff: 1s, on: [agent] }
`

const APPROVAL_WORKFLOW = `name: demo-approval
version: 1
description: Asks a person before it goes on.
steps:
  - id: ask
    kind: approve
    prompt: May I say it out loud?
  - id: say
    kind: agent
    needs: [ask]
    agent: echo
    with:
      message: 'approved by \${steps.ask.outputs.approvedBy}'
`

export type DemoTickets = {
  readonly echo: string
  readonly repair: string
  readonly dependent: string
  readonly flaky: string
  readonly approval: string
}

/** A project with the repository, three small workflows beside the shipped ones, and five tickets. */
export async function fileDemoTickets(client: SwarmClient, repositoryPath: string): Promise<DemoTickets> {
  await client.projects.create({
    key: PROJECT_KEY,
    name: 'Demo',
    repositoryUrl: repositoryPath,
    forge: 'local',
  })
  for (const text of [CHECK_WORKFLOW, FLAKY_WORKFLOW, APPROVAL_WORKFLOW])
    await client.workflows.register({ text })
  const project = PROJECT_KEY
  const echo = await client.tickets.create({
    project,
    title: 'Say hello three times',
    workflow: 'echo-chain',
    inputs: { message: 'hello from the demo' },
  })
  const repair = await client.tickets.create({
    project,
    title: REPAIR_TITLE,
    body: 'Two of a kind cost as much as one. `node --test` shows it. Please repair total() in src/cart.mjs.',
    type: 'bug',
    workflow: 'code-change',
    agent: 'coder',
  })
  const dependent = await client.tickets.create({
    project,
    title: 'See that the tests pass on main after the repair',
    workflow: 'demo-check',
    dependsOn: [repair.key],
  })
  const flaky = await client.tickets.create({
    project,
    title: 'Call a service that is away',
    workflow: 'demo-flaky',
  })
  const approval = await client.tickets.create({
    project,
    title: 'Ask before going on',
    workflow: 'demo-approval',
  })
  return {
    echo: echo.key,
    repair: repair.key,
    dependent: dependent.key,
    flaky: flaky.key,
    approval: approval.key,
  }
}
