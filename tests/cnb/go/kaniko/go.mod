module github.com/osscontainertools/kaniko

go 1.24
