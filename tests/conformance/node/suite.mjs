// minio-js: what its users do, asserted; prints what it signed for others to send. Run by `signatures_suite.py`.
import assert from 'node:assert'
import crypto from 'node:crypto'
import { createRequire } from 'node:module'

const require = createRequire(process.env.NODE_PATH + '/')
const Minio = require('minio')

const { HOST, PORT, KEY, SECRET, REGION, BUCKET } = process.env
const client = new Minio.Client({
  endPoint: HOST, port: Number(PORT), useSSL: true, accessKey: KEY, secretKey: SECRET, region: REGION,
  partSize: 5 * 1024 * 1024,
})

const read = async (key) => {
  const pieces = []
  for await (const piece of await client.getObject(BUCKET, key)) pieces.push(piece)
  return Buffer.concat(pieces)
}

const large = crypto.randomBytes(6_000_000)
await client.putObject(BUCKET, 'a b ü', 'hello', 5, { 'Content-Type': 'text/plain', 'X-Amz-Meta-A': 'b' })
await client.putObject(BUCKET, 'large', large)
assert.equal((await read('a b ü')).toString(), 'hello')
assert.ok((await read('large')).equals(large))
assert.equal((await client.statObject(BUCKET, 'a b ü')).metaData.a, 'b')

const policy = client.newPostPolicy()
policy.setBucket(BUCKET)
policy.setKeyStartsWith('in/')
policy.setExpires(new Date(Date.now() + 60_000))
policy.setContentLengthRange(1, 100)
const { postURL, formData } = await client.presignedPostPolicy(policy)
formData.key = 'in/form'

const get = await client.presignedGetObject(BUCKET, 'a b ü', 60)
const put = await client.presignedPutObject(BUCKET, 'put', 60)
console.log(JSON.stringify({ postURL, formData, get, put }))
