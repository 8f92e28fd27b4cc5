// A server of grpc.testing.TestService: node server.js OPTIONS-OF-GRPC-NODE
const grpc = require('@grpc/grpc-js');

const same = (bytes) => bytes; // an Empty is no bytes at all
const service = {
  EmptyCall: {
    path: '/grpc.testing.TestService/EmptyCall',
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  },
};

const server = new grpc.Server(JSON.parse(process.argv[2]));
server.addService(service, {EmptyCall: (call, answer) => answer(null, Buffer.alloc(0))});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (err, port) => {
  if (err) throw err;
  console.log(`node ${process.versions.node} serves at 127.0.0.1:${port}.`);
});
