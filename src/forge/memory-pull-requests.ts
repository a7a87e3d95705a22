import type { PullRequest, PullRequestRecords } from './contract.ts'

/** Pull request records for as long as the process lives: for the fake forge, and the measure for the store's. */
export function createMemoryPullRequests(): PullRequestRecords {
  const all = new Map<string, PullRequest[]>()
  const listOf = (projectId: string) => {
    const list = all.get(projectId) ?? []
    all.set(projectId, list)
    return list
  }
  const newest = (projectId: string, branch: string) =>
    listOf(projectId).findLast((pullRequest) => pullRequest.branch === branch)
  const get = (projectId: string, number: number) => {
    const found = listOf(projectId)[number - 1]
    if (found === undefined) throw new Error(`the project has no pull request ${number}`)
    return found
  }
  const put = (projectId: string, pullRequest: PullRequest) => {
    listOf(projectId)[pullRequest.number - 1] = pullRequest
    return pullRequest
  }
  return {
    async saveOpen({ projectId, branch, baseBranch, headCommit, title, body }) {
      const known = newest(projectId, branch)
      const content = { branch, baseBranch, headCommit, title, body }
      if (known === undefined || (known.status !== 'open' && known.headCommit !== headCommit)) {
        const number = listOf(projectId).length + 1
        return { kind: 'opened', pullRequest: put(projectId, { ...content, number, status: 'open' }) }
      }
      const isSame = known.headCommit === headCommit && known.title === title && known.body === body
      if (known.status !== 'open' || isSame) return { kind: 'unchanged', pullRequest: known }
      return { kind: 'updated', pullRequest: put(projectId, { ...known, ...content }) }
    },
    findByBranch: async (projectId, branch) => newest(projectId, branch),
    findByNumber: async (projectId, number) => listOf(projectId)[number - 1],
    async saveMerged({ projectId, number, headCommit, mergedCommit }) {
      const known = get(projectId, number)
      if (known.status !== 'open') return known
      return put(projectId, { ...known, status: 'merged', headCommit, mergedCommit })
    },
    async saveClosed({ projectId, number }) {
      const known = get(projectId, number)
      return known.status === 'open' ? put(projectId, { ...known, status: 'closed' }) : known
    },
  }
}
