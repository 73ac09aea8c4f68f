// Answers each line of standard input, a question as JSON, with `Allow`, `Deny`, `DefaultDeny`, or `error: …`.
import { createInterface } from 'node:readline'
import { anonymousPrincipal, runSimulation } from '@cloud-copilot/iam-simulate'

const account = '123456789012'
const outcomes = { Allowed: 'Allow', ExplicitlyDenied: 'Deny', ImplicitlyDenied: 'DefaultDeny' }
const named = (documents) => documents.map((policy, i) => ({ name: `p${i}`, policy }))

for await (const line of createInterface({ input: process.stdin })) {
  const { documents, question } = JSON.parse(line)
  const anonymous = question.kind === 'Anonymous'
  let answer
  try {
    const simulation = {
      identityPolicies: anonymous ? [] : named(documents.identity),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      request: {
        principal: anonymous ? anonymousPrincipal : question.arn,
        action: question.action,
        resource: { resource: question.resource, accountId: account },
        contextVariables: question.context
      }
    }
    if (documents.boundary && !anonymous) simulation.permissionBoundaryPolicies = named([documents.boundary])
    if (documents.bucket) simulation.resourcePolicy = documents.bucket
    const result = await runSimulation(simulation, {})
    answer = outcomes[result.overallResult] ?? `error: ${JSON.stringify(result.errors ?? result)}`
  } catch (error) {
    answer = `error: ${error.message}`
  }
  process.stdout.write(`${answer}\n`)
}
